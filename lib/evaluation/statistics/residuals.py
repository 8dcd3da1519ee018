"""From predictions and truth to residuals, in the units in which the field quotes resolutions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from lib.geometry.coordinates import emission_angles, emission_vector, opening_angle
from lib.geometry.sensors import FloatArray

_DIFFERENCE: Final = "predicted \N{MINUS SIGN} true"


@dataclass(frozen=True, eq=False)
class Residuals:
    """Differences between predictions and truth in one quantity.

    Attributes:
        name: Quantity, such as ``energy``.
        unit: Unit of the differences.
        values: Prediction minus truth, or a distance between them, shape (N,).
        label: What the values are, for an axis.
        is_distance: True where the values are never negative and have no core around zero.
    """

    name: str
    unit: str
    values: FloatArray
    label: str
    is_distance: bool = False


def task_residuals(task: str, predicted: FloatArray, true: FloatArray) -> list[Residuals]:
    """Return the residuals of a regression task.

    Args:
        task: ``angle`` (theta and phi in degrees), ``angleVec`` (unit vector), ``energy`` (GeV), ``timing`` (s) or
            ``uvwFI`` (cm).
        predicted: Predictions, shape (N, width).
        true: Truth, shape (N, width).

    Returns:
        angle, angleVec: theta, phi and opening angle in degrees. energy: relative, in per cent. timing: ps.
        uvwFI: u, v, w and distance in mm.
    """
    return _OF_TASK[task](np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64))


def _angle(predicted: FloatArray, true: FloatArray) -> list[Residuals]:
    difference = predicted - true
    # Azimuths on both sides of 180 degrees are neighbours.
    difference[:, 1] = (difference[:, 1] + 180.0) % 360.0 - 180.0
    opening = opening_angle(emission_vector(predicted), emission_vector(true))
    return [
        Residuals("theta", "deg", difference[:, 0], f"{_DIFFERENCE} theta"),
        Residuals("phi", "deg", difference[:, 1], f"{_DIFFERENCE} phi"),
        Residuals("opening angle", "deg", opening, "opening angle", is_distance=True),
    ]


def _direction(predicted: FloatArray, true: FloatArray) -> list[Residuals]:
    return _angle(emission_angles(predicted), emission_angles(true))


def _energy(predicted: FloatArray, true: FloatArray) -> list[Residuals]:
    relative = 100.0 * (predicted[:, 0] / true[:, 0] - 1.0)
    return [Residuals("energy", "%", relative, "predicted / true energy \N{MINUS SIGN} 1")]


def _timing(predicted: FloatArray, true: FloatArray) -> list[Residuals]:
    difference = 1e12 * (predicted - true)[:, 0]
    return [Residuals("time", "ps", difference, f"{_DIFFERENCE} time")]


def _position(predicted: FloatArray, true: FloatArray) -> list[Residuals]:
    difference = 10.0 * (predicted - true)
    axes = [Residuals(name, "mm", difference[:, i], f"{_DIFFERENCE} {name}") for i, name in enumerate("uvw")]
    distance = np.linalg.norm(difference, axis=1)
    return [*axes, Residuals("distance", "mm", distance, "distance", is_distance=True)]


_OF_TASK: Final[dict[str, Callable[[FloatArray, FloatArray], list[Residuals]]]] = {
    "angle": _angle,
    "angleVec": _direction,
    "energy": _energy,
    "timing": _timing,
    "uvwFI": _position,
}
