"""Photon counts as the conventional reconstruction takes them: as an image of the inner face, and summed by face."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import INVALID_ABOVE
from lib.geometry.coordinates import BoolArray
from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import INNER_SHAPE, NUM_FACES, NUM_MPPC, FloatArray, IndexArray, nominal_sensors

_NEIGHBOURS = 4


@dataclass(frozen=True)
class InnerImage:
    """The inner face as an image.

    Attributes:
        npho: Photons, 0 where there is no value, shape (n, 93, 44).
        valid: True where there is a value, shape (n, 93, 44).
    """

    npho: FloatArray
    valid: BoolArray


def is_valid(values: FloatArray) -> BoolArray:
    """Return True where a sensor has a value: finite and not the sentinel."""
    return np.isfinite(values) & (np.abs(values) < INVALID_ABOVE)


def inner_image(npho: FloatArray) -> InnerImage:
    """Return the inner face of events of shape (n, 4760)."""
    inner = npho[:, :NUM_MPPC].reshape(-1, *INNER_SHAPE)
    valid = is_valid(inner)
    return InnerImage(np.where(valid, inner, 0.0).astype(np.float64), valid)


def fill_invalid(npho: FloatArray) -> FloatArray:
    """Return the counts with invalid ones replaced by the mean of the valid among the nearest of their face.

    A sensor without valid neighbours counts as dark.
    """
    filled = npho.astype(np.float64)
    event, sensor = np.nonzero(~is_valid(npho))
    neighbours = _nearest()[sensor]
    around = npho[event[:, None], neighbours]
    valid = is_valid(around)
    total = np.sum(around, axis=1, where=valid, dtype=np.float64)
    filled[event, sensor] = total / np.maximum(valid.sum(axis=1), 1)
    return filled


@cache
def _nearest() -> IndexArray:
    return nearest_sensors(nominal_sensors(), _NEIGHBOURS, same_face=True)


def face_sums(npho: FloatArray) -> NDArray[np.float64]:
    """Return the photons of each face, invalid sensors filled in, shape (n, 6)."""
    by_face = np.eye(NUM_FACES)[nominal_sensors().face_codes]  # (4760, 6)
    return fill_invalid(npho) @ by_face
