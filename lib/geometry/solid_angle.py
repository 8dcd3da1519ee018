"""Solid angles of the sensitive surfaces: an MPPC's four chips and a PMT's disc."""

import numpy as np
from scipy.special import ellipk, elliprj

from lib.geometry.sensors import MPPC_CHIP_GAP, MPPC_CHIP_WIDTH, FloatArray


def rectangle_solid_angle(
    x_low: FloatArray, x_high: FloatArray, y_low: FloatArray, y_high: FloatArray, height: FloatArray
) -> FloatArray:
    """Return the solid angle in sr of a rectangle seen from the origin.

    Args:
        x_low: Lower bound of the rectangle along its first side, cm; all arguments broadcast.
        x_high: Upper bound along the first side.
        y_low: Lower bound along the second side.
        y_high: Upper bound along the second side.
        height: Distance of its plane from the origin, > 0.

    Source: the closed form arctan(ab / (h sqrt(a^2 + b^2 + h^2))) of a corner, e.g. Mathar,
        "Solid angle of a rectangular plate" (2015).
    """

    def corner(a: FloatArray, b: FloatArray) -> FloatArray:
        return np.arctan2(a * b, height * np.sqrt(a * a + b * b + height * height))

    return corner(x_high, y_high) - corner(x_low, y_high) - corner(x_high, y_low) + corner(x_low, y_low)


def mppc_solid_angle(x: FloatArray, y: FloatArray, height: FloatArray) -> FloatArray:
    """Return the solid angle in sr of an MPPC's 2 x 2 chips, without the gap between them.

    Args:
        x: Offset of the source from the sensor centre along one side, cm; all arguments broadcast.
        y: Offset along the other side.
        height: Height of the source above the surface, > 0.
    """
    inner, outer = 0.5 * MPPC_CHIP_GAP, 0.5 * MPPC_CHIP_GAP + MPPC_CHIP_WIDTH
    sides = ((-outer, -inner), (inner, outer))
    return sum(
        (
            rectangle_solid_angle(x_low - x, x_high - x, y_low - y, y_high - y, height)
            for x_low, x_high in sides
            for y_low, y_high in sides
        ),
        np.zeros(()),
    )


def disc_solid_angle(offset: FloatArray, height: FloatArray, radius: FloatArray) -> FloatArray:
    """Return the solid angle in sr of a disc seen from a point off its axis.

    Args:
        offset: Distance of the point from the axis, cm, >= 0; all arguments broadcast.
        height: Height of the point above the plane, > 0.
        radius: Radius of the disc.

    Source: Paxton, "Solid angle calculation for a circular disk", Rev. Sci. Instrum. 30, 254 (1959): complete
        elliptic integrals; the third kind is written in Carlson's symmetric form R_J.
    """
    offset, height, radius = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (offset, height, radius)))
    near_edge_squared = height**2 + (radius - offset) ** 2
    far_edge_squared = height**2 + (radius + offset) ** 2
    modulus = 4.0 * radius * offset / far_edge_squared
    characteristic = 4.0 * radius * offset / (radius + offset) ** 2
    far_edge = np.sqrt(far_edge_squared)
    first_kind = ellipk(modulus)
    # K and the regular part of Pi both diverge mildly at the rim; 1 - n vanishes there and the prefactor with it.
    complement = ((radius - offset) / (radius + offset)) ** 2
    safe = np.where(complement > 0, complement, 1.0)
    third_kind = first_kind + characteristic / 3.0 * elliprj(0.0, near_edge_squared / far_edge_squared, 1.0, safe)
    side = np.where(complement > 0, (radius - offset) / (radius + offset), 0.0) * third_kind
    inside = np.where(offset < radius, 2.0 * np.pi, np.where(offset > radius, 0.0, np.pi))
    return inside - 2.0 * height / far_edge * (first_kind + side)
