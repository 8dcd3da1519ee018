"""Rows of restored sensors, read back and scored: by face, charge, distance to the light, size of a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import uproot

from lib.data.branches import INVALID_ABOVE, TREE_NAME
from lib.data.trees.tree_reading import read_errors
from lib.errors import DataError
from lib.evaluation.restoration.restoration_scores import COVERED
from lib.evaluation.restoration.restoration_trial import CLUSTER_SIZE, DISTANCE, EXPECTED, IS_DEAD
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import FACE_NAMES, FloatArray, IndexArray

MODEL: Final = "model"
LEAST_SENSORS: Final = 20
"""Fewer would make the numbers of a bin jump."""
_NEEDED: Final = ("face", "npho_truth", "npho_pred")
_METHOD_PREFIX: Final = "npho_"
_NO_METHODS: Final = {"npho_truth", "npho_pred", "npho_error", "npho_sigma", EXPECTED}


@dataclass(frozen=True, eq=False)
class RestorationTable:
    """Hidden sensors with what they measured; truly dead ones are left out.

    Attributes:
        face: Codes, shape (k,).
        truth: Photons that are compared with, shape (k,): the expected light where the rows say it, else measured ones.
        is_expected: Which of the two.
        restored: Photons by model and method, shape (k,) each; the model is called ``model``.
        beside: What else the rows say of a sensor, by name: its distance to the light, the size of its gap.
        num_dead: Truly dead sensors in the rows.
    """

    face: IndexArray
    truth: FloatArray
    is_expected: bool
    restored: Mapping[str, FloatArray]
    beside: Mapping[str, FloatArray]
    num_dead: int


@dataclass(frozen=True)
class Score:
    """How well some sensors are restored.

    Attributes:
        error: 68 % of |restored - truth|, photons.
        error_error: Its statistical error.
        bias: Mean of restored - truth over mean truth.
        mean_truth: Photons.
        count: Sensors.
    """

    error: float
    error_error: float
    bias: float
    mean_truth: float
    count: int


def read_rows(path: Path) -> RestorationTable:
    """Read a file of restored sensors, of a training or of a trial.

    Raises:
        DataError: If it is none, or holds no hidden sensor.
    """
    with read_errors(path), uproot.open(path) as file:
        if TREE_NAME not in file or not set(_NEEDED) <= set(file[TREE_NAME].keys()):
            raise DataError(
                f"{path}: holds no restored sensors; expected a tree {TREE_NAME!r} with {', '.join(_NEEDED)}, as "
                "checkpoint.save_predictions and macro/validate_inpainter.py write it."
            )
        columns = file[TREE_NAME].arrays(library="np")
    hidden = columns["npho_truth"] < INVALID_ABOVE
    num_dead = int((columns[IS_DEAD] > 0).sum()) if IS_DEAD in columns else 0
    if not hidden.any():
        raise DataError(f"{path}: no sensor was hidden that has a measured value, so nothing can be compared.")
    names = [name for name in columns if name.startswith(_METHOD_PREFIX) and name not in _NO_METHODS]
    restored = {MODEL: columns["npho_pred"], **{name.removeprefix(_METHOD_PREFIX): columns[name] for name in names}}
    truth = columns[EXPECTED] if EXPECTED in columns else columns["npho_truth"]
    return RestorationTable(
        columns["face"][hidden].astype(np.intp),
        truth[hidden].astype(np.float64),
        EXPECTED in columns,
        {name: values[hidden].astype(np.float64) for name, values in restored.items()},
        {name: columns[name][hidden].astype(np.float64) for name in (DISTANCE, CLUSTER_SIZE) if name in columns},
        num_dead,
    )


def score(table: RestorationTable, name: str, chosen: BoolArray) -> Score:
    """Return how well a model or method restores the chosen sensors; NaN where there are none."""
    residual, truth = table.restored[name][chosen] - table.truth[chosen], table.truth[chosen]
    if not len(residual):
        return Score(np.nan, np.nan, np.nan, np.nan, 0)
    size = np.abs(residual)
    # One binomial standard deviation of the rank, up and down.
    spread = np.sqrt(COVERED * (1 - COVERED) / len(size))
    low, middle, high = np.quantile(size, np.clip([COVERED - spread, COVERED, COVERED + spread], 0.0, 1.0))
    bias = residual.mean() / truth.mean() if truth.mean() > 0 else np.nan
    return Score(float(middle), float(0.5 * (high - low)), float(bias), float(truth.mean()), len(size))


def face_scores(table: RestorationTable, name: str) -> dict[str, Score]:
    """Return the scores on all faces together and on each that has hidden sensors."""
    everything = {"all faces": np.ones(len(table.face), dtype=bool)}
    chosen = everything | {face: table.face == code for code, face in enumerate(FACE_NAMES)}
    return {face: score(table, name, one) for face, one in chosen.items() if one.any()}


def binned_scores(table: RestorationTable, name: str, values: FloatArray, edges: FloatArray) -> list[Score]:
    """Return the scores in bins of a quantity, shape (k,); bins with fewer than 20 sensors have NaN."""
    place = np.searchsorted(edges, values, side="right") - 1
    chosen = [place == number for number in range(len(edges) - 1)]
    return [score(table, name, one if one.sum() >= LEAST_SENSORS else np.zeros_like(one)) for one in chosen]


def format_faces(columns: Mapping[str, Mapping[str, Score]], reference: Sequence[str]) -> str:
    """Return a table of errors and biases by face, and the ratio of each error to the best of some references.

    Args:
        columns: Scores by face, by name of the model or method.
        reference: Names of those that the others are compared with; themselves not.
    """
    faces = list(dict.fromkeys(face for scores in columns.values() for face in scores))
    lines = [f"{'68 % (photons), bias':22s}" + "".join(f"{name:>30s}" for name in columns)]
    for face in faces:
        best = min((columns[name][face].error for name in reference if face in columns[name]), default=np.nan)
        cells = [_cell(scores.get(face), np.nan if name in reference else best) for name, scores in columns.items()]
        lines.append(f"{face:22s}" + "".join(f"{cell:>30s}" for cell in cells))
    return "\n".join(lines) + "\n"


def _cell(one: Score | None, best: float) -> str:
    if one is None:
        return ""
    ratio = f" ({one.error / best:.2f} x)" if best > 0 else ""
    return f"{one.error:.2f} +- {one.error_error:.2f}, {100 * one.bias:+.1f} %{ratio}"
