"""Detector coordinates (u, v, w), emission angles and the fiducial volume."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.geometry.sensors import (
    CONE_SLOPE,
    OUTER_RADIUS,
    PHI_SPAN,
    REFERENCE_RADIUS,
    WALL_HALF_LENGTH,
    WALL_RADIUS,
    FloatArray,
    cylindrical,
)

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Fiducial:
    """The part of the detector that counts: |u| and |v| below their bounds, w above its own; cm."""

    u_max: float = 23.9
    v_max: float = 67.9
    w_min: float = 0.0

    def contains(self, uvw: FloatArray) -> BoolArray:
        """Return True for the points inside, shape (...,) for uvw of shape (..., 3)."""
        u, v, w = np.moveaxis(np.asarray(uvw), -1, 0)
        return (np.abs(u) < self.u_max) & (np.abs(v) < self.v_max) & (w > self.w_min)


def xyz_to_uvw(xyz: FloatArray) -> FloatArray:
    """Convert Cartesian to detector coordinates.

    Args:
        xyz: Points in cm, shape (..., 3).

    Returns:
        u along the beam, v along the arc of the MPPC surface, w the depth behind it; cm, shape (..., 3).
    """
    x, y, z = np.moveaxis(np.asarray(xyz, dtype=np.float64), -1, 0)
    return np.stack([z, REFERENCE_RADIUS * np.arctan2(y, -x), np.hypot(x, y) - REFERENCE_RADIUS], axis=-1)


def uvw_to_xyz(uvw: FloatArray) -> FloatArray:
    """Convert detector to Cartesian coordinates; the inverse of ``xyz_to_uvw``, shape (..., 3), cm."""
    u, v, w = np.moveaxis(np.asarray(uvw, dtype=np.float64), -1, 0)
    return cylindrical(w + REFERENCE_RADIUS, v / REFERENCE_RADIUS, u)


def emission_angles(direction: FloatArray) -> FloatArray:
    """Return (theta, phi) in degrees of a direction of flight.

    Args:
        direction: Vectors of any length, shape (..., 3).

    Returns:
        theta = acos(n_z) and phi = atan2(n_y, -n_x), shape (..., 2).
    """
    direction = np.asarray(direction, dtype=np.float64)
    x, y, z = np.moveaxis(direction / np.linalg.norm(direction, axis=-1, keepdims=True), -1, 0)
    return np.degrees(np.stack([np.arccos(np.clip(z, -1.0, 1.0)), np.arctan2(y, -x)], axis=-1))


def emission_vector(angles: FloatArray) -> FloatArray:
    """Return the unit vector of (theta, phi) in degrees; the inverse of ``emission_angles``, shape (..., 3)."""
    theta, phi = np.moveaxis(np.radians(np.asarray(angles, dtype=np.float64)), -1, 0)
    return np.stack([-np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)


def opening_angle(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the angle in degrees between two directions.

    Args:
        first: Vectors of any length, shape (..., 3).
        second: Vectors of any length, shape (..., 3).

    Returns:
        Angles from 0 to 180, shape (...,). The arctangent form keeps its digits near 0, where the arccosine
        of a rounded product does not.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    cross = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.degrees(np.arctan2(cross, np.sum(first * second, axis=-1)))


def in_active_xenon(xyz: FloatArray) -> BoolArray:
    """Return True for the points inside the active xenon, shape (...,) for xyz of shape (..., 3)."""
    x, y, z = np.moveaxis(np.asarray(xyz), -1, 0)
    radius = np.hypot(x, y)
    inside_barrel = (radius > REFERENCE_RADIUS) & (radius < OUTER_RADIUS)
    inside_arc = np.abs(np.arctan2(y, -x)) < 0.5 * PHI_SPAN
    return inside_barrel & inside_arc & (np.abs(z) < WALL_HALF_LENGTH + (radius - WALL_RADIUS) * CONE_SLOPE)
