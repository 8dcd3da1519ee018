"""A detector displaced as surveys find real ones: smoothly, by millimetres."""

import numpy as np

from lib.geometry.coordinates import xyz_to_uvw
from lib.geometry.sensors import NUM_MPPC, PHI_SPAN, REFERENCE_RADIUS, WALL_HALF_LENGTH, SensorTable, nominal_sensors

_HIGHEST_ORDER = 3


def displaced_sensors(rng: np.random.Generator, displacement: float) -> SensorTable:
    """Return the nominal detector with its inner face displaced by a smooth field.

    Each Cartesian component is a polynomial of third order in (u, v) with random coefficients: shifts, tilts, bends.
    The PMTs stay, since they hang on another structure, and so do the normals: a bend of some millimetres over the
    length of the face turns them by less than a degree.

    Args:
        rng: Source of randomness.
        displacement: Root mean square of the distance to the nominal place over the inner face, cm.
    """
    nominal = nominal_sensors()
    u, v, _ = xyz_to_uvw(nominal.positions[:NUM_MPPC]).T
    basis = np.polynomial.legendre.legvander2d(
        u / WALL_HALF_LENGTH, v / (0.5 * PHI_SPAN * REFERENCE_RADIUS), [_HIGHEST_ORDER, _HIGHEST_ORDER]
    )
    order = np.add.outer(np.arange(_HIGHEST_ORDER + 1), np.arange(_HIGHEST_ORDER + 1)).ravel()
    amplitude = np.where(order <= _HIGHEST_ORDER, 1.0 / (1 + order), 0.0)
    field = basis @ (amplitude[:, None] * rng.standard_normal((len(order), 3)))
    field *= displacement / np.sqrt(np.mean(np.sum(field**2, axis=1)))
    positions = nominal.positions.copy()
    positions[:NUM_MPPC] += field
    return SensorTable(positions, nominal.normals, nominal.face_codes)
