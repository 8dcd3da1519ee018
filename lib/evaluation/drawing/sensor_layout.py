"""The six faces unrolled into one plane, at true scale: where each sensor is drawn, how large, and in which shape.

The plane is seen from within the xenon with z to the right and phi upwards. The inner face lies in the middle; the
walls around it are folded outwards where they touch it: upstream to the left, downstream to the right, top above,
bottom below. The outer face, which touches none of them on the inside, stands to the right.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lib.geometry.coordinates import uvw_to_xyz
from lib.geometry.sensors import (
    COARSE_PHI_PITCH,
    COARSE_Z_PITCH,
    FACE_NAMES,
    INNER_PHI_PITCH,
    INNER_SHAPE,
    INNER_Z_PITCH,
    NUM_SENSORS,
    OUTER_COARSE_SHAPE,
    OUTER_RADIUS,
    PHI_SPAN,
    REFERENCE_RADIUS,
    SIDE_FIRST_RADIUS,
    SIDE_RADIUS_PITCH,
    SIDE_SHAPE,
    SIDE_Z_PITCH,
    STAGGERED_FIRST_RADIUS,
    STAGGERED_RADIUS_PITCH,
    STAGGERED_ROWS,
    STAGGERED_Z_PITCH,
    FloatArray,
    nominal_sensors,
)

# Distance between faces on the plane, cm: wide enough for a face's name.
FACE_GAP = 7.0

# Radius at which a PMT is drawn, cm: its tube, which almost touches the next one on the side faces.
DRAWN_PMT_RADIUS = 2.75

# Along a side wall, from one photomultiplier to the next.
SIDE_PITCH = float(np.hypot(SIDE_RADIUS_PITCH, SIDE_Z_PITCH))

_INNER_HALF_WIDTH = 0.5 * INNER_SHAPE[1] * INNER_Z_PITCH
_INNER_HALF_HEIGHT = 0.5 * PHI_SPAN * REFERENCE_RADIUS
_SIDE_WIDTH = SIDE_SHAPE[1] * SIDE_PITCH
_STAGGERED_HALF_WIDTH = 0.5 * max(STAGGERED_ROWS) * STAGGERED_Z_PITCH
_STAGGERED_HEIGHT = len(STAGGERED_ROWS) * STAGGERED_RADIUS_PITCH
_OUTER_HALF_WIDTH = 0.5 * OUTER_COARSE_SHAPE[1] * COARSE_Z_PITCH
_OUTER_HALF_HEIGHT = 0.5 * OUTER_COARSE_SHAPE[0] * COARSE_PHI_PITCH * OUTER_RADIUS
_SIDE_EDGE = _INNER_HALF_WIDTH + FACE_GAP
_STAGGERED_EDGE = _INNER_HALF_HEIGHT + FACE_GAP
_OUTER_CENTRE = _SIDE_EDGE + _SIDE_WIDTH + 1.5 * FACE_GAP + _OUTER_HALF_WIDTH


@dataclass(frozen=True)
class Rectangle:
    """An upright rectangle on the plane, cm."""

    left: float
    bottom: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The larger x."""
        return self.left + self.width

    @property
    def top(self) -> float:
        """The larger y."""
        return self.bottom + self.height


@dataclass(frozen=True)
class SensorLayout:
    """The sensors on the plane.

    Attributes:
        centres: Middle of each sensor in cm, shape (4760, 2).
        sizes: Width and height of each sensor in cm, shape (4760, 2): the pitch for an MPPC, the tube for a PMT.
        is_disc: True for the round PMTs, False for the rectangular MPPCs, shape (4760,).
        frames: Outline of each face by name.
        extent: What holds all faces.
    """

    centres: FloatArray
    sizes: FloatArray
    is_disc: NDArray[np.bool_]
    frames: dict[str, Rectangle]
    extent: Rectangle


@cache
def sensor_layout() -> SensorLayout:
    """Return the nominal detector unrolled.

    The barrel faces keep their arc lengths. Top, bottom and side faces are plane or conical: their rows keep the true
    distance from one another, but the rows of a side face are straightened and stand level with the MPPCs of the same
    phi, so that a shower has the same height on all three.
    """
    codes = nominal_sensors().face_codes
    centres = np.empty((NUM_SENSORS, 2))
    for code, face in enumerate(FACE_NAMES):
        centres[codes == code] = unrolled(nominal_sensors().positions[codes == code], face)
    is_disc = ~nominal_sensors().is_mppc
    mppc = (INNER_Z_PITCH, INNER_PHI_PITCH * REFERENCE_RADIUS)
    sizes = np.where(is_disc[:, None], 2.0 * DRAWN_PMT_RADIUS, mppc)
    for array in (centres, sizes, is_disc):
        array.setflags(write=False)
    frames = _frames()
    return SensorLayout(centres, sizes, is_disc, frames, _hull(list(frames.values())))


def unrolled(xyz: FloatArray, face: str) -> FloatArray:
    """Project points onto a face and return their places on the plane.

    Args:
        xyz: Points in cm, shape (..., 3).
        face: Name of the face that shows them; along its normal the projection is free.

    Returns:
        Places on the plane in cm, shape (..., 2).
    """
    x, y, z = np.moveaxis(np.asarray(xyz, dtype=np.float64), -1, 0)
    radius, phi = np.hypot(x, y), np.arctan2(y, -x)
    along_arc = REFERENCE_RADIUS * phi
    side_depth = (radius - SIDE_FIRST_RADIUS) * SIDE_PITCH / SIDE_RADIUS_PITCH + 0.5 * SIDE_PITCH
    staggered_depth = radius - STAGGERED_FIRST_RADIUS + 0.5 * STAGGERED_RADIUS_PITCH
    places = {
        "inner": (z, along_arc),
        "outer": (_OUTER_CENTRE + z, OUTER_RADIUS * phi),
        "us": (-_SIDE_EDGE - side_depth, along_arc),
        "ds": (_SIDE_EDGE + side_depth, along_arc),
        "top": (z, _STAGGERED_EDGE + staggered_depth),
        "bottom": (z, -_STAGGERED_EDGE - staggered_depth),
    }
    return np.stack(places[face], axis=-1)


def unrolled_uvw(uvw: FloatArray, face: str) -> FloatArray:
    """Return the place on the plane of points given in detector coordinates (cm), like ``unrolled``."""
    return unrolled(uvw_to_xyz(uvw), face)


def _frames() -> dict[str, Rectangle]:
    width, height = 2.0 * _INNER_HALF_WIDTH, 2.0 * _INNER_HALF_HEIGHT
    hexagonal = (-_STAGGERED_HALF_WIDTH, 2.0 * _STAGGERED_HALF_WIDTH, _STAGGERED_HEIGHT)
    outer_size = (2.0 * _OUTER_HALF_WIDTH, 2.0 * _OUTER_HALF_HEIGHT)
    return {
        "inner": Rectangle(-_INNER_HALF_WIDTH, -_INNER_HALF_HEIGHT, width, height),
        "outer": Rectangle(_OUTER_CENTRE - _OUTER_HALF_WIDTH, -_OUTER_HALF_HEIGHT, *outer_size),
        "us": Rectangle(-_SIDE_EDGE - _SIDE_WIDTH, -_INNER_HALF_HEIGHT, _SIDE_WIDTH, height),
        "ds": Rectangle(_SIDE_EDGE, -_INNER_HALF_HEIGHT, _SIDE_WIDTH, height),
        "top": Rectangle(hexagonal[0], _STAGGERED_EDGE, *hexagonal[1:]),
        "bottom": Rectangle(hexagonal[0], -_STAGGERED_EDGE - _STAGGERED_HEIGHT, *hexagonal[1:]),
    }


def _hull(rectangles: list[Rectangle]) -> Rectangle:
    left, bottom = min(r.left for r in rectangles), min(r.bottom for r in rectangles)
    right, top = max(r.right for r in rectangles), max(r.top for r in rectangles)
    return Rectangle(left, bottom, right - left, top - bottom)
