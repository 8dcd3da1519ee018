"""Position of the photon from the pattern of light on the inner face: a local fit of one point source.

The light of an MPPC near the source goes with the solid angle under which the source sees it. Position and amount of
the light of one point are fitted to the MPPCs around the brightest spot, for all events side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from lib.baselines.conventional_sensors import InnerImage
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import (
    INNER_PHI_PITCH,
    INNER_SHAPE,
    INNER_Z_PITCH,
    MPPC_CHIP_GAP,
    MPPC_CHIP_WIDTH,
    REFERENCE_RADIUS,
    FloatArray,
    IndexArray,
)
from lib.geometry.solid_angle import rectangle_solid_angle

_HALF_WINDOW = 5
_NUM_ITERATIONS = 12
_DERIVATIVE_STEP = 0.02  # cm
_MAX_STEP = 1.0  # cm
_DEPTHS = (0.1, 40.0)  # cm

# Sensors are taken up to this many times the spread of the light, and at least this far, from its centre.
_RADIUS_IN_SPREADS, _MIN_RADIUS = 2.2, 2.4  # cm

# Variance of a count: photon statistics, 4 % of the count for what one point source does not describe, and noise.
VARIANCE_PER_PHOTON, MODEL_ERROR, NOISE = 1.30 / 0.08, 0.04, 25.0
_MIN_PHOTONS = 20.0

HALF_SENSOR = MPPC_CHIP_WIDTH + 0.5 * MPPC_CHIP_GAP
_FILL_FACTOR = (MPPC_CHIP_WIDTH / HALF_SENSOR) ** 2
LIGHT_PATH = 39.0  # cm; absorption and scattering together
# Above a sensor behind the bend of the face, a point would stand below its surface.
LEAST_HEIGHT = 0.02  # cm
# Share of the light that enters a sensor, from grazing on, over the cosine of its direction; at most 1.
LEAST_ACCEPTED, ACCEPTED_SLOPE = 0.55, 0.75


@dataclass(frozen=True)
class PointFit:
    """The point sources that describe the light of n events best.

    Attributes:
        uvw: Position in cm, shape (n, 3).
        photons: Light of the source, shape (n,).
        spread: Root mean square radius of the light on the face, cm, shape (n,).
        chi_square: Per degree of freedom, shape (n,).
        skewness: Third moments of the light along u and v over the cube of the spread, shape (n, 2).
    """

    uvw: FloatArray
    photons: FloatArray
    spread: FloatArray
    chi_square: FloatArray
    skewness: FloatArray

    @staticmethod
    def join(groups: Sequence["PointFit"]) -> "PointFit":
        """Return the fits of several groups of events as one."""
        return PointFit(
            **{
                field.name: np.concatenate([getattr(group, field.name) for group in groups])
                for field in fields(PointFit)
            }
        )


@dataclass(frozen=True)
class _Window:
    """The MPPCs around the brightest spot of n events, k sensors each.

    Attributes:
        u: Of the sensors, cm, shape (n, k).
        phi: Of the sensors, shape (n, k).
        npho: Photons, shape (n, k).
        weight: Inverse variance, 0 for sensors that are not used, shape (n, k).
    """

    u: FloatArray
    phi: FloatArray
    npho: FloatArray
    weight: FloatArray


def fit_points(image: InnerImage) -> PointFit:
    """Fit a point source to each event of an image of the inner face."""
    u, phi, npho, valid = _cut_out(image)
    centre, spread, skewness = _moments(u, phi * REFERENCE_RADIUS, npho)
    distance_squared = (u - centre[:, :1]) ** 2 + (phi * REFERENCE_RADIUS - centre[:, 1:]) ** 2
    used = valid & (distance_squared < np.maximum(_RADIUS_IN_SPREADS * spread, _MIN_RADIUS)[:, None] ** 2)
    variance = np.maximum(npho, _MIN_PHOTONS) * VARIANCE_PER_PHOTON + (MODEL_ERROR * npho) ** 2 + NOISE**2
    window = _Window(*(array.astype(np.float32) for array in (u, phi, npho, used / variance)))
    start = np.column_stack([centre, np.clip(1.2 * spread, 0.5, 12.0)])
    uvw, photons, chi_square = _minimize(window, start)
    return PointFit(uvw, photons, spread, chi_square / np.maximum(used.sum(axis=1) - 4, 1), skewness)


def expected_photons(fit: PointFit, event: IndexArray, sensor: IndexArray) -> FloatArray:
    """Return the photons that fitted points send to MPPCs, shape (k,).

    Args:
        fit: The points.
        event: Which point, shape (k,).
        sensor: Ids of the MPPCs, below 4092, shape (k,).
    """
    row, column = np.divmod(sensor, INNER_SHAPE[1])
    u, phi = (place[:, None].astype(np.float32) for place in _place(row, column))
    seen = _shape(_Window(u, phi, npho=u, weight=u), fit.uvw[event])[:, 0]
    return fit.photons[event] * seen


def _place(row: IndexArray, column: IndexArray) -> tuple[FloatArray, FloatArray]:
    """Return u in cm and phi of places on the inner face."""
    u = (column - 0.5 * (INNER_SHAPE[1] - 1)) * INNER_Z_PITCH
    phi = (0.5 * (INNER_SHAPE[0] - 1) - row) * INNER_PHI_PITCH
    return u, phi


def _cut_out(image: InnerImage) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Return u, phi, photons and validity of the sensors around each event's brightest spot, shape (n, 121) each."""
    row, column = _brightest(image.npho)
    steps = np.arange(-_HALF_WINDOW, _HALF_WINDOW + 1)
    rows = np.repeat(row[:, None] + steps, len(steps), axis=1)
    columns = np.tile(column[:, None] + steps, len(steps))
    num_rows, num_columns = INNER_SHAPE
    inside = (rows >= 0) & (rows < num_rows) & (columns >= 0) & (columns < num_columns)
    place = (np.arange(len(row))[:, None], np.clip(rows, 0, num_rows - 1), np.clip(columns, 0, num_columns - 1))
    valid = inside & image.valid[place]
    u, phi = _place(rows, columns)
    return u, phi, np.where(valid, image.npho[place], 0.0), valid


def _brightest(npho: FloatArray) -> tuple[IndexArray, IndexArray]:
    """Return row and column of the brightest 3 x 3 patch, which a single dead sensor does not hide."""
    padded = np.pad(npho, ((0, 0), (1, 1), (1, 1)))
    height, width = INNER_SHAPE
    patches = sum(padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3))
    peak = np.asarray(patches).reshape(len(npho), -1).argmax(axis=1)
    row, column = np.unravel_index(peak, INNER_SHAPE)
    return row, column


def _moments(u: FloatArray, v: FloatArray, npho: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return centre (n, 2), radius (n,) and skewness (n, 2) of the light above 15 % of its peak."""
    light = np.maximum(npho - 0.15 * npho.max(axis=1, keepdims=True), 0)
    light /= np.maximum(light.sum(axis=1, keepdims=True), 1e-9)
    centre = np.column_stack([(light * u).sum(axis=1), (light * v).sum(axis=1)])
    du, dv = u - centre[:, :1], v - centre[:, 1:]
    spread = np.sqrt((light * (du**2 + dv**2)).sum(axis=1))
    cubes = np.column_stack([(light * du**3).sum(axis=1), (light * dv**3).sum(axis=1)])
    return centre, spread, cubes / np.maximum(spread, 0.5)[:, None] ** 3


def _shape(window: _Window, uvw: FloatArray) -> FloatArray:
    """Return the light that each sensor of the window sees of one photon from the points, shape (n, k)."""
    u, v, w = uvw.T.astype(np.float32)[:, :, None]
    radius = REFERENCE_RADIUS + w
    turn = v / REFERENCE_RADIUS - window.phi
    height = np.maximum(radius * np.cos(turn) - REFERENCE_RADIUS, LEAST_HEIGHT)
    x, y = u - window.u, radius * np.sin(turn)
    solid_angle = rectangle_solid_angle(-HALF_SENSOR - x, HALF_SENSOR - x, -HALF_SENSOR - y, HALF_SENSOR - y, height)
    distance = np.sqrt(height * height + x * x + y * y)
    accepted = np.minimum(1.0, LEAST_ACCEPTED + ACCEPTED_SLOPE * height / distance)
    return solid_angle * accepted * np.exp(-distance / LIGHT_PATH) * (_FILL_FACTOR / (4 * np.pi))


def _amplitude(window: _Window, shape: FloatArray) -> FloatArray:
    """Return the amount of light that fits best for given positions, shape (n,)."""
    norm = (window.weight * shape * shape).sum(axis=1)
    return (window.weight * shape * window.npho).sum(axis=1) / np.maximum(norm, 1e-12)


def _chi_square(window: _Window, model: FloatArray) -> FloatArray:
    return (window.weight * (window.npho - model) ** 2).sum(axis=1)


def _minimize(window: _Window, start: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return position (n, 3), light (n,) and chi square (n,) at the minimum.

    Source: Levenberg, Q. Appl. Math. 2, 164 (1944); Marquardt, J. SIAM 11, 431 (1963); each event with its own damping.
    """
    uvw, damping = start.copy(), np.full(len(start), 1e-2)
    shape = _shape(window, uvw)
    photons = _amplitude(window, shape)
    chi_square = _chi_square(window, photons[:, None] * shape)
    for _ in range(_NUM_ITERATIONS):
        trial = uvw + _step(window, uvw, shape, photons, damping)
        trial[:, 2] = np.clip(trial[:, 2], *_DEPTHS)
        trial_shape = _shape(window, trial)
        trial_photons = _amplitude(window, trial_shape)
        trial_chi_square = _chi_square(window, trial_photons[:, None] * trial_shape)
        better = trial_chi_square < chi_square
        uvw[better], shape[better], photons[better] = trial[better], trial_shape[better], trial_photons[better]
        chi_square[better] = trial_chi_square[better]
        damping = np.where(better, damping * 0.3, damping * 8)
    return uvw, photons, chi_square


def _step(window: _Window, uvw: FloatArray, shape: FloatArray, photons: FloatArray, damping: FloatArray) -> FloatArray:
    """Return the damped Gauss-Newton step of the positions, shape (n, 3)."""
    columns = []
    for axis in range(3):
        moved = uvw.copy()
        moved[:, axis] += _DERIVATIVE_STEP
        columns.append(photons[:, None] * (_shape(window, moved) - shape) / _DERIVATIVE_STEP)
    columns.append(photons[:, None] * shape)
    jacobian = np.stack(columns, axis=-1)  # (n, k, 4)
    weighted = jacobian * window.weight[:, :, None]
    curvature = weighted.transpose(0, 2, 1) @ jacobian
    gradient = np.einsum("nki,nk->ni", weighted, window.npho - photons[:, None] * shape)
    diagonal = np.arange(4)
    curvature[:, diagonal, diagonal] = curvature[:, diagonal, diagonal] * (1 + damping[:, None]) + 1e-9
    step = np.linalg.solve(curvature, gradient[..., None])[:, :3, 0]
    return np.clip(step, -_MAX_STEP, _MAX_STEP)
