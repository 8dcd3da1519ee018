"""The six faces as images: which sensor is which pixel.

Rectangular faces are (H, W) maps of sensor ids. Staggered faces are plain lists with a table of neighbours
(``hex_grid``). The outer face mixes two lattices and is brought onto a common fine grid (``outer_grid``).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from lib.geometry.sensors import (
    DS_IDS,
    INNER_IDS,
    INNER_SHAPE,
    SIDE_SHAPE,
    US_IDS,
    IndexArray,
    coarse_ids,
    dense_ids,
    nominal_sensors,
    staggered_ids,
)


@dataclass(frozen=True)
class RectangularFace:
    """A face whose sensors stand on a rectangular lattice.

    Attributes:
        name: One of the rectangular faces, or one of the two lattices of the outer face.
        sensor_ids: Map of ids, shape (H, W); rows run along v downwards (phi descending), columns along u upwards,
            or outwards in radius on the side faces.
    """

    name: str
    sensor_ids: IndexArray

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image."""
        height, width = self.sensor_ids.shape
        return height, width


@dataclass(frozen=True)
class StaggeredFace:
    """The top or bottom face, whose rows are shifted by half a pitch.

    Attributes:
        name: ``top`` or ``bottom``.
        sensor_ids: Ids in order of rows, shape (73,).
    """

    name: str
    sensor_ids: IndexArray


@cache
def rectangular_face(name: str) -> RectangularFace:
    """Return the face ``inner``, ``us``, ``ds``, or a lattice of the outer face, ``outer_coarse``, ``outer_dense``.

    The coarse lattice still names the twelve sensors that were moved onto the dense patch: as an image it has no
    holes, and its 3 x 4 cells there hold sensors displaced by up to 7 cm.
    """
    maps = {
        "inner": lambda: np.arange(*INNER_IDS).reshape(INNER_SHAPE),
        "us": lambda: np.arange(*US_IDS).reshape(SIDE_SHAPE),
        "ds": lambda: np.arange(*DS_IDS).reshape(SIDE_SHAPE),
        "outer_coarse": coarse_ids,
        "outer_dense": dense_ids,
    }
    return RectangularFace(name, maps[name]())


@cache
def staggered_face(name: str) -> StaggeredFace:
    """Return the face ``top`` or ``bottom``."""
    return StaggeredFace(name, np.concatenate(staggered_ids(name)))


def face_sensor_ids(code: int) -> IndexArray:
    """Return all ids of one of the six faces, ascending."""
    return np.flatnonzero(nominal_sensors().face_codes == code)
