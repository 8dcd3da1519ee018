"""Whether sensors arrive where they belong, and only those that may."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from lib.data.batch import EventBatch
from lib.geometry.hex_grid import neighbour_table
from lib.geometry.sensors import FACE_NAMES, nominal_sensors
from lib.models.photons import FilledPhotons
from lib.models.sensor_inputs import OuterImage, RectangularImage, StaggeredSensors
from lib.tasks.trial import Trial, Verdict, score

EVENTS = 8
# Steps between neighbours along one axis, over their median. The coarse lattice of the outer face holds sensors that
# were moved by up to 7 cm of a pitch of 10; merged cells of it differ most.
LARGEST_STEP = 3.0


def wiring_checks(trial: Trial) -> Iterator[Verdict]:
    """Yield what a model with its first weights shows."""
    model = trial.build().eval()
    yield neighbours_are_neighbours(model)
    yield model_knows_normalization(trial, model)
    yield each_face_counts(trial, model)
    yield outputs_ignore_truth(trial, model)
    if not trial.targets:
        yield hidden_values_stay_hidden(trial, model)


@torch.no_grad()
def neighbours_are_neighbours(model: nn.Module) -> Verdict:
    """Look for the largest distance in space between neighbours of an image, in units of the usual one."""
    positions = torch.tensor(nominal_sensors().positions, dtype=torch.float32)
    worst, where = 0.0, ""
    for name, module in model.named_modules():
        for step in _steps(module, positions):
            ratio = float(step.max() / step.median().clamp_min(1e-6))
            if ratio > worst:
                worst, where = ratio, name
    words = (
        f"largest step in space between neighbours in an image, in units of the median step (in {where}); expected "
        f"below {LARGEST_STEP}. If not, a face is arranged with its axes swapped."
    )
    return Verdict("axes of the faces", worst < LARGEST_STEP, worst, words)


def _steps(module: nn.Module, positions: Tensor) -> Iterator[Tensor]:
    """Yield the distances in cm between neighbours along each axis of what a module arranges."""
    if isinstance(module, RectangularImage):
        image = module(positions.to(module.sensor_ids.device)[None])[0]
    elif isinstance(module, OuterImage):
        weights = module.cells.T  # (h * w, 234)
        places = weights @ positions.to(module.cells.device)[module.sensor_ids]
        image = (places / weights.sum(dim=1, keepdim=True)).unflatten(0, module.shape)
    elif isinstance(module, StaggeredSensors):
        yield from _staggered_steps(module, positions)
        return
    else:
        return
    yield (image[1:] - image[:-1]).norm(dim=-1)
    yield (image[:, 1:] - image[:, :-1]).norm(dim=-1)


def _staggered_steps(module: StaggeredSensors, positions: Tensor) -> Iterator[Tensor]:
    places = module(positions.to(module.sensor_ids.device)[None])[0]
    table = torch.tensor(neighbour_table(), device=places.device)
    first, second = torch.nonzero(table >= 0)[:, 0], table[table >= 0]
    yield (places[first] - places[second]).norm(dim=-1)


def model_knows_normalization(trial: Trial, model: nn.Module) -> Verdict:
    """Compare the transform that the model inverts with the one that made its inputs."""
    mine = [one.normalization for one in model.modules() if isinstance(one, OuterImage | FilledPhotons)]
    differing = [text for one in mine if (text := trial.normalization.difference(one))]
    words = "parts of the model that invert another normalization than that of the inputs; expected none."
    words += f" Here, inputs against model: {differing[0]}." if differing else ""
    return Verdict("normalization of the model", not differing, len(differing), words)


@torch.no_grad()
def each_face_counts(trial: Trial, model: nn.Module) -> Verdict:
    """Take each face out in turn and look whether any output changes."""
    batch = trial.train.rows(0, EVENTS)
    codes = torch.tensor(nominal_sensors().face_codes, device=batch.x.device)
    prepared = trial.task.prepare(batch, training=False)
    usual = trial.task.score(model, prepared).outputs
    silent = []
    for code, name in enumerate(FACE_NAMES):
        without = replace(batch, valid=batch.valid & (codes != code)[:, None])
        outputs = trial.task.score(model, replace(prepared, batch=without)).outputs
        elsewhere = codes != code
        if not any(_differs(usual[key], outputs[key], elsewhere) for key in usual):
            silent.append(name)
    words = "faces that do not influence any output; expected none." + (
        f" Here: {', '.join(silent)}." if silent else ""
    )
    return Verdict("every face counts", not silent, len(silent), words)


def _differs(first: Tensor, second: Tensor, sensors: Tensor) -> bool:
    """Return True if two outputs differ; of outputs for each sensor those of other faces are compared."""
    if first.ndim >= 2 and first.shape[1] == len(sensors):
        first, second = first[:, sensors], second[:, sensors]
    return not torch.equal(first, second)


@torch.no_grad()
def outputs_ignore_truth(trial: Trial, model: nn.Module) -> Verdict:
    """Give the events another truth and look whether any output changes."""
    batch = trial.train.rows(0, EVENTS)
    other = replace(batch, truth={name: values.flip(0) * 1.5 + 1.0 for name, values in batch.truth.items()})
    number = _largest_change(trial, model, batch, other)
    words = "largest change of an output when events get another truth; expected 0. If not, the truth is an input."
    return Verdict("outputs ignore the truth", number == 0.0, number, words)


@torch.no_grad()
def hidden_values_stay_hidden(trial: Trial, model: nn.Module) -> Verdict:
    """Change what stands at hidden sensors and look whether a prediction changes."""
    prepared = trial.task.prepare(trial.train.rows(0, EVENTS), training=False)
    hidden = prepared.drawn["hidden"][..., None]
    batch = prepared.batch
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(batch.x.shape, generator=generator).to(batch.x)
    changed = replace(prepared, batch=replace(batch, x=torch.where(hidden, noise, batch.x)))
    before, after = (trial.task.score(model, one).outputs["prediction"] for one in (prepared, changed))
    number = float((before - after).abs().max())
    words = "largest change of a prediction when hidden values change; expected 0. If not, the mask leaks the target."
    return Verdict("hidden stays hidden", number == 0.0, number, words)


def _largest_change(trial: Trial, model: nn.Module, first: EventBatch, second: EventBatch) -> float:
    before, after = score(trial, model, first).outputs, score(trial, model, second).outputs
    return max(float((before[name].float() - after[name].float()).abs().max()) for name in before)
