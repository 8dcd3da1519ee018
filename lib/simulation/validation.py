"""Figures by which the simulation is known, and how far its light is from the exact integral."""

from dataclasses import dataclass, field

import numpy as np

from lib.data.branches import ENERGY, INVALID_ABOVE, NPHO, TIME, UVW, VERTEX, XYZ
from lib.geometry.coordinates import uvw_to_xyz, xyz_to_uvw
from lib.geometry.sensors import NUM_SENSORS, REFERENCE_RADIUS, FloatArray, SensorTable
from lib.simulation.config import SimulationConfig
from lib.simulation.events import DEPOSITED_ENERGY, Columns
from lib.simulation.light import LightModel
from lib.simulation.light_reference import exact_shares
from lib.simulation.particles import Float32Array
from lib.simulation.voxels import Sources

SHALLOW = 2.0  # cm
BRIGHT = 100.0  # photons; sensors with less have no usable time
_LEAST_DEPTH, _DEEPEST = 0.6, 30.0  # cm
_LEAST_SHARE = 1e-7
_CENTRAL_AREA = (13.0, 55.0)  # cm in u and v


@dataclass
class Tally:
    """Sums over simulated events.

    Attributes:
        calibration: Photoelectrons per photon of each sensor, shape (4760,).
        sums: Number of events, sum and sum of squares, by the figure's name, shape (3,) each.
    """

    calibration: Float32Array
    sums: dict[str, FloatArray] = field(default_factory=dict)

    def add(self, columns: Columns) -> None:
        """Add a block of events."""
        npho, time, uvw = columns[NPHO], columns[TIME], columns[UVW]
        live = npho < INVALID_ABOVE
        num_live = live.sum(axis=1)
        # Dead channels would have seen as much as the average live one.
        photoelectrons = np.sum(npho * self.calibration, axis=1, where=live) * NUM_SENSORS / num_live
        path, entry = conversion_path(columns[VERTEX], columns[XYZ])
        # Of photons that enter near an edge, those that fly far leave the accepted area: the others look short-lived.
        central = np.all(np.abs(xyz_to_uvw(entry)[:, :2]) < _CENTRAL_AREA, axis=1)
        figures = {
            "conversion_length_cm": path[central],
            "fraction_w_below_2cm": uvw[:, 2] < SHALLOW,
            "deposited_fraction": columns[DEPOSITED_ENERGY] / columns[ENERGY],
            "photoelectrons": photoelectrons,
            "fraction_with_time": (time < INVALID_ABOVE).sum(axis=1) / num_live,
            "fraction_above_100": (live & (npho > BRIGHT)).sum(axis=1) / num_live,
        }
        for name, values in figures.items():
            powers = np.array([len(values), np.sum(values, dtype=float), np.sum(np.square(values, dtype=float))])
            self.sums[name] = self.sums.get(name, np.zeros(3)) + powers

    def mean(self, name: str) -> tuple[float, float]:
        """Return the mean of a figure and its statistical error."""
        count, total, squares = (float(value) for value in self.sums[name])
        mean = total / count
        return mean, float(np.sqrt(max(squares / count - mean**2, 0.0) / count))


def conversion_path(vertex: FloatArray, first_interaction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how far photons flew in the xenon before they interacted, and where they entered it.

    Args:
        vertex: Where they started, inside the cylinder of the MPPCs, cm, shape (n, 3).
        first_interaction: Outside of it, cm, shape (n, 3).

    Returns:
        Length in cm, shape (n,), and point of entry in cm, shape (n, 3).
    """
    flight = first_interaction - vertex
    distance = np.linalg.norm(flight, axis=1)
    direction = flight / distance[:, None]
    # Where x^2 + y^2 = R^2 along the line of flight.
    a = np.sum(direction[:, :2] ** 2, axis=1)
    b = np.sum(direction[:, :2] * vertex[:, :2], axis=1)
    c = np.sum(vertex[:, :2] ** 2, axis=1) - REFERENCE_RADIUS**2
    before = (-b + np.sqrt(b * b - a * c)) / a
    return distance - before, vertex + before[:, None] * direction


def light_errors(
    light: LightModel, sensors: SensorTable, config: SimulationConfig, rng: np.random.Generator, num_sources: int
) -> FloatArray:
    """Return the largest relative error of the direct light over the sensors, for each of some point sources.

    Args:
        light: The light model.
        sensors: Its detector.
        config: Says where sources may lie; their depth is 0.6 cm or more.
        rng: Source of randomness.
        num_sources: Sources to draw, more of them shallow than deep.

    Returns:
        Shape (num_sources,).
    """
    u = rng.uniform(-config.u_max, config.u_max, num_sources)
    v = rng.uniform(-config.v_max, config.v_max, num_sources)
    w = _LEAST_DEPTH + (_DEEPEST - _LEAST_DEPTH) * rng.random(num_sources) ** 3
    position = uvw_to_xyz(np.column_stack([u, v, w]))
    one_photon = np.full(num_sources, 1 / config.xenon.photons_per_mev)
    photons, _ = light.direct(Sources(position, one_photon, np.zeros(num_sources), np.arange(num_sources + 1)))
    worst = np.empty(num_sources)
    for number, place in enumerate(position):
        exact = exact_shares(place, sensors, light.constants)
        seen = exact > _LEAST_SHARE
        worst[number] = np.max(np.abs(photons[number, seen] / exact[seen] - 1))
    return worst
