"""How much each face matters: how far predictions move when it is not read."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from matplotlib.figure import Figure

from lib.atomic import atomic_path
from lib.errors import DataError
from lib.evaluation.drawing.log_axis import use_log_scale
from lib.evaluation.predictors import Predictor, predicted_tasks
from lib.evaluation.raw_events import RawBatch
from lib.evaluation.statistics.residuals import task_residuals
from lib.evaluation.statistics.resolution import Quantile, quantile_68
from lib.geometry.sensors import FACE_NAMES, FloatArray, nominal_sensors

_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_COLUMNS: Final = ("quantity", "face", "change", "error", "unit")
# One number of each task is enough to see which face it lives on.
_SHOWN: Final = {
    "energy": "energy",
    "timing": "time",
    "uvwFI": "distance",
    "angle": "opening angle",
    "angleVec": "opening angle",
}


def face_weights(predictor: Predictor, batches: Sequence[RawBatch]) -> dict[str, dict[str, tuple[Quantile, str]]]:
    """Return the 68th percentile of the change of each prediction when a face is not read, with its unit.

    Args:
        predictor: The model.
        batches: Some hundreds of events.

    Returns:
        By quantity, then by face.
    """
    found: dict[str, dict[str, tuple[Quantile, str]]] = {}
    whole = [predictor.predict(batch.npho, batch.time) for batch in batches]
    codes = torch.from_numpy(nominal_sensors().face_codes.copy())
    for code, face in enumerate(FACE_NAMES):
        blinded = [batch.without(codes == code) for batch in batches]
        partial = [predictor.predict(batch.npho, batch.time) for batch in blinded]
        for name, (values, unit) in _changes(predicted_tasks(predictor), partial, whole).items():
            found.setdefault(name, {})[face] = (quantile_68(values[np.isfinite(values)]), unit)
    return found


def weights_path(folder: Path, run_name: str) -> Path:
    """Return where the face weights of a run are written as a table."""
    return folder / f"face_weights_{run_name}.csv"


def write_face_weights(path: Path, weights: Mapping[str, Mapping[str, tuple[Quantile, str]]]) -> None:
    """Write one line per quantity and face, for the page of the run."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(
            [quantity, face, change.value, change.error, unit]
            for quantity, by_face in weights.items()
            for face, (change, unit) in by_face.items()
        )


def read_face_weights(path: Path) -> dict[str, dict[str, tuple[Quantile, str]]]:
    """Return what ``write_face_weights`` wrote; nothing where there is no such file.

    Raises:
        DataError: If it is another file.
    """
    found: dict[str, dict[str, tuple[Quantile, str]]] = {}
    if not path.exists():
        return found
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                quantity, face, change, error, unit = (row[name] for name in _COLUMNS)
                found.setdefault(quantity, {})[face] = (Quantile(float(change), float(error)), unit)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is no table of face weights ({error!r}). Remove it to report without it.") from error
    return found


def draw_face_weights(title: str, weights: Mapping[str, Mapping[str, tuple[Quantile, str]]]) -> Figure:
    """Draw one panel per quantity with a bar per face."""
    figure = Figure(figsize=(0.8 + 3.4 * len(weights), 4.2), layout="constrained")
    figure.suptitle(f"{title}: 68 % of the change of the prediction when a face is not read", fontsize=12)
    panels = figure.subplots(1, len(weights), squeeze=False)[0]
    for axes, (name, by_face) in zip(panels, weights.items(), strict=True):
        faces = list(by_face)
        values = [by_face[face][0] for face in faces]
        axes.bar(faces, [one.value for one in values], color=_COLOURS, yerr=[one.error for one in values], width=0.7)
        use_log_scale(axes)
        axes.set_title(name, fontsize=11)
        axes.set_ylabel(f"change ({next(iter(by_face.values()))[1]})")
        axes.tick_params(axis="x", rotation=45)
    return figure


def _changes(
    tasks: Sequence[str], partial: Sequence[Mapping[str, FloatArray]], whole: Sequence[Mapping[str, FloatArray]]
) -> dict[str, tuple[FloatArray, str]]:
    """Return the size of the change of one quantity per task, shape (N,), and its unit."""
    found: dict[str, tuple[FloatArray, str]] = {}
    for task in tasks:
        now, before = (np.concatenate([one[task] for one in side]) for side in (partial, whole))
        if task not in _SHOWN:
            found[task] = (np.abs(now - before).max(axis=1), "probability")
            continue
        wanted = (_SHOWN)[task]
        (residuals,) = [one for one in task_residuals(task, now, before) if one.name == wanted]
        found[f"{task}: {wanted}"] = (np.abs(residuals.values), residuals.unit)
    return found
