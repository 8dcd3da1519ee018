"""Photons on their way from the target: energy, vertex and aim."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.geometry.coordinates import uvw_to_xyz
from lib.geometry.sensors import FloatArray, IndexArray
from lib.simulation.config import EnergyConfig, SimulationConfig
from lib.simulation.particles import SPEED_OF_LIGHT

# The stopping target: an ellipse slanted against the beam axis, lit by the muon beam.
_TARGET_SLANT = np.deg2rad(15.0)
_BEAM_SIGMA = 1.1  # cm
_TARGET_HALF_HEIGHT, _TARGET_HALF_LENGTH = 3.3, 13.0  # cm, in y and along z
_EXPONENTIAL_START = 1.0  # MeV


@dataclass(frozen=True)
class Emission:
    """Photons as they are emitted.

    Attributes:
        vertex: Where, cm, shape (n, 3).
        aim: Where they enter the xenon, on the surface of the MPPCs, cm, shape (n, 3).
        energy: MeV, shape (n,).
    """

    vertex: FloatArray
    aim: FloatArray
    energy: FloatArray

    @property
    def direction(self) -> FloatArray:
        """Unit vectors of flight, shape (n, 3)."""
        return (self.aim - self.vertex) / self.distance[:, None]

    @property
    def distance(self) -> FloatArray:
        """From the vertex to the xenon, cm, shape (n,)."""
        return np.linalg.norm(self.aim - self.vertex, axis=1)

    @property
    def flight_time(self) -> FloatArray:
        """From the vertex to the xenon, ns, shape (n,)."""
        return self.distance / float(SPEED_OF_LIGHT)

    def select(self, chosen: IndexArray) -> "Emission":
        """Return the chosen photons."""
        return Emission(self.vertex[chosen], self.aim[chosen], self.energy[chosen])

    @staticmethod
    def join(groups: Sequence["Emission"]) -> "Emission":
        """Return the photons of several groups as one."""
        return Emission(
            np.concatenate([group.vertex for group in groups]),
            np.concatenate([group.aim for group in groups]),
            np.concatenate([group.energy for group in groups]),
        )


def draw_energies(rng: np.random.Generator, count: int, energy: EnergyConfig) -> FloatArray:
    """Draw photon energies in MeV, shape (count,)."""
    if energy.kind == "mono":
        return np.full(count, energy.value)
    if energy.kind == "uniform":
        return rng.uniform(energy.low, energy.high, count)
    return np.minimum(_EXPONENTIAL_START + rng.exponential(energy.mean, count), energy.maximum)


def draw_emission(
    rng: np.random.Generator, count: int, config: SimulationConfig, energy: EnergyConfig | None = None
) -> Emission:
    """Draw photons that aim uniformly in (u, v) at the inner face.

    Args:
        rng: Source of randomness.
        count: Photons to draw.
        config: Says where they start and aim.
        energy: Their spectrum, by default that of ``config``.
    """
    energies = draw_energies(rng, count, energy or config.energy)
    vertex = _target_vertices(rng, count) if config.vertex == "target" else np.zeros((count, 3))
    u = rng.uniform(-config.u_max, config.u_max, count)
    v = rng.uniform(-config.v_max, config.v_max, count)
    return Emission(vertex, uvw_to_xyz(np.stack([u, v, np.zeros(count)], axis=1)), energies)


def _target_vertices(rng: np.random.Generator, count: int) -> FloatArray:
    """Draw muon decay points on the slanted target, cm, shape (count, 3)."""
    x, y = rng.normal(0.0, _BEAM_SIGMA, (2, count))
    z = np.clip(x / np.tan(_TARGET_SLANT), -_TARGET_HALF_LENGTH, _TARGET_HALF_LENGTH)
    return np.stack([x, np.clip(y, -_TARGET_HALF_HEIGHT, _TARGET_HALF_HEIGHT), z], axis=1)
