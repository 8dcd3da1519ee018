"""Whether inputs and truth are what a training believes them to be."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from lib.data.batch import EventBatch
from lib.geometry.sensors import FACE_NAMES, FloatArray, nominal_sensors
from lib.tasks.targets import Target
from lib.tasks.trial import Trial, Verdict

# Root mean square of the values of a channel. Layers are initialized for inputs of order one; dim events of a root or
# logarithm lie at a few hundredths.
SMALLEST_INPUT, LARGEST_INPUT = 0.02, 5.0
# One minus the squared correlation with one sensor: no sensor alone measures anything to a thousandth of its spread.
CLOSEST_SENSOR = 1e-6
LEAST_SHARE = 0.9
LABEL_RATIO = 0.93
LEAST_EVENTS = 64


def input_checks(trial: Trial) -> Iterator[Verdict]:
    """Yield what inputs and truth show without a model."""
    yield from normalized_inputs(trial)
    yield inputs_vary(trial)
    yield faces_measure(trial)
    yield held_out_is_new(trial)
    targets = [target for target in trial.targets if target.transform != "classes"]
    if targets:
        yield no_sensor_is_the_truth(trial, targets)
        if trial.train.num_events >= LEAST_EVENTS:
            yield labels_follow_light(trial, targets)


def normalized_inputs(trial: Trial) -> Iterator[Verdict]:
    """Look at the size of the measured inputs of each channel, training and held-out events together."""
    for index, channel in enumerate(("npho", "time")):
        parts = [batch.x[..., index][batch.valid[..., index]].double() for batch in (trial.train, trial.held_out)]
        values = torch.cat(parts)
        number = float(values.square().mean().sqrt()) if len(values) else float("nan")
        words = (
            f"root mean square of the normalized {channel}; expected {SMALLEST_INPUT} to {LARGEST_INPUT:g}. "
            "If not, the normalization is for other units."
        )
        yield Verdict(f"normalization of {channel}", SMALLEST_INPUT <= number <= LARGEST_INPUT, number, words)


def inputs_vary(trial: Trial) -> Verdict:
    """Count the sensors whose photon count is the same in every event."""
    npho = trial.train.x[..., 0]
    number = float((npho.std(dim=0) == 0).float().mean())
    words = "share of the sensors that read the same in every event; expected below 0.5. If not, inputs are lost."
    return Verdict("inputs vary", number < 0.5, number, words)


def faces_measure(trial: Trial) -> Verdict:
    """Look for faces of which no sensor has a value."""
    measured = trial.train.valid[..., 0].any(dim=0).cpu().numpy()
    codes = nominal_sensors().face_codes
    silent = [name for code, name in enumerate(FACE_NAMES) if not measured[codes == code].any()]
    words = "faces without a single measured sensor; expected none." + (
        f" Here: {', '.join(silent)}." if silent else ""
    )
    return Verdict("faces measured", not silent, len(silent), words)


def held_out_is_new(trial: Trial) -> Verdict:
    """Count held-out events whose readings are those of a training event."""
    known = set(_fingerprints(trial.train))
    number = sum(one in known for one in _fingerprints(trial.held_out))
    words = (
        f"of {trial.held_out.num_events} validation events have the readings of one of {trial.train.num_events} "
        "training events; expected none."
    )
    return Verdict("validation is new", number == 0, number, words)


def no_sensor_is_the_truth(trial: Trial, targets: list[Target]) -> Verdict:
    """Correlate each input of each sensor, and its photon count, with each component of the truth."""
    batch = trial.train
    photons = trial.normalization.inverse_npho(batch.x[..., :1])
    inputs = torch.cat([batch.x, photons], dim=2).double()
    usable = torch.cat([batch.valid, batch.valid[..., :1]], dim=2).double()
    counts = usable.sum(dim=0)
    closest, where = 1.0, ""
    for target in targets:
        for label, truth in zip(target.labels, batch.truth[target.branch].double().unbind(dim=1), strict=True):
            left = _unexplained(inputs, usable, truth)
            left = torch.where(counts >= LEAST_SHARE * batch.num_events, left, 1.0)
            if float(left.min()) < closest:
                closest = float(left.min())
                where = f" Here: sensor {int(left.argmin()) // inputs.shape[2]} and {label} of {target.branch}."
    words = (
        "smallest share of a truth's variance that a single sensor leaves open; expected above "
        f"{CLOSEST_SENSOR:g}. If not, the truth stands among the inputs." + (where if closest <= CLOSEST_SENSOR else "")
    )
    return Verdict("truth not among inputs", closest > CLOSEST_SENSOR, closest, words)


def _unexplained(inputs: Tensor, usable: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - r^2 of each input with a truth over the events that have it, shape (4760, C)."""
    count = usable.sum(dim=0).clamp_min(1.0)
    scaled = ((truth - truth.mean()) / truth.std().clamp_min(1e-30))[:, None, None]
    x = inputs - (inputs * usable).sum(dim=0) / count
    y = scaled - (scaled * usable).sum(dim=0) / count
    covariance = (x * y * usable).sum(dim=0)
    spread = (x.square() * usable).sum(dim=0) * (y.square() * usable).sum(dim=0)
    return torch.where(spread > 0, 1.0 - covariance.square() / spread.clamp_min(1e-300), 1.0)


def labels_follow_light(trial: Trial, targets: list[Target]) -> Verdict:
    """Fit the truth of half of the events by sums, centroids and times of the faces, and predict the other half's."""
    features = _light_features(trial)
    half = len(features) // 2
    worst, name = 0.0, ""
    for target in targets:
        truth = trial.train.truth[target.branch].double().cpu().numpy()
        ratio = min(_prediction_ratio(features, truth[:, [one]], half) for one in range(target.width))
        if ratio > worst:
            worst, name = ratio, target.name
    words = (
        f"error over that of a constant when a linear fit to the sums and centroids of the light predicts {name}, the "
        f"worst target; expected below {LABEL_RATIO}. If not, labels belong to other events, or inputs are lost."
    )
    return Verdict("labels follow the light", worst < LABEL_RATIO, worst, words)


def _light_features(trial: Trial) -> FloatArray:
    """Return logarithms of the faces' sums, centroids of the inner face and mean times, shape (B, F)."""
    batch, table = trial.train, nominal_sensors()
    photons = trial.normalization.inverse_npho(batch.x[..., 0]).double().clamp_min(0.0)
    light = torch.where(batch.valid[..., 0], photons, 0.0).cpu().numpy()
    times = torch.where(batch.valid[..., 1], batch.x[..., 1].double(), 0.0).cpu().numpy()
    timed = light * batch.valid[..., 1].cpu().numpy()
    totals = np.stack([light[:, table.face_codes == code].sum(axis=1) for code in range(len(FACE_NAMES))], axis=1)
    # The square of the light points to the bright spot, whose centroid the far light does not draw to the middle.
    peak = light[:, table.is_mppc] ** 2
    centroid = peak @ table.positions[table.is_mppc] / np.maximum(peak.sum(axis=1, keepdims=True), 1e-30)
    mean_time = (times * timed).sum(axis=1) / np.maximum(timed.sum(axis=1), 1e-30)
    return np.column_stack([totals / 1e4, np.log1p(totals), centroid, mean_time])


def _prediction_ratio(features: FloatArray, truth: FloatArray, half: int) -> float:
    """Return mean absolute error over that of the mean for the second half, of a ridge fit to the first."""
    scale = features[:half].std(axis=0)
    x = (features - features[:half].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    centre = truth[:half].mean(axis=0)
    # A little ridge: sums of faces are nearly proportional to each other.
    normal = x[:half].T @ x[:half] + 0.01 * half * np.eye(x.shape[1])
    fit = np.linalg.solve(normal, x[:half].T @ (truth[:half] - centre))
    wanted = truth[half:] - centre
    constant = np.abs(wanted).mean()
    return float(np.abs(x[half:] @ fit - wanted).mean() / constant) if constant > 0 else 0.0


def _fingerprints(batch: EventBatch) -> list[bytes]:
    return [row.tobytes() for row in batch.x[batch.weight > 0].cpu().numpy()]
