"""Electromagnetic showers in the xenon, many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.geometry.sensors import FloatArray, IndexArray
from lib.simulation.config import XenonConfig
from lib.simulation.electrons import step_electrons
from lib.simulation.particles import Float32Array, Particles, join
from lib.simulation.photons import transport_photons


@dataclass(frozen=True)
class Deposits:
    """Energy left in the xenon.

    Attributes:
        event: Shower that each deposit belongs to, shape (n,).
        position: x, y, z in cm, shape (3, n).
        energy: MeV, shape (n,).
        time: ns, shape (n,).
    """

    event: IndexArray
    position: Float32Array
    energy: Float32Array
    time: Float32Array

    def renumbered(self, event_of_shower: IndexArray) -> "Deposits":
        """Return the deposits with their shower's number replaced; those of showers numbered -1 are left out."""
        event = event_of_shower[self.event]
        kept = event >= 0
        return Deposits(event[kept], self.position[:, kept], self.energy[kept], self.time[kept])

    @staticmethod
    def join(groups: Sequence["Deposits"]) -> "Deposits":
        """Return the deposits of several groups as one."""
        return Deposits(
            np.concatenate([group.event for group in groups]),
            np.concatenate([group.position for group in groups], axis=1),
            np.concatenate([group.energy for group in groups]),
            np.concatenate([group.time for group in groups]),
        )


@dataclass(frozen=True)
class Showers:
    """The showers of some photons.

    Attributes:
        first_interaction: Where each photon interacted first, cm, shape (n, 3); NaN where it crossed the xenon.
        deposits: What all of them left.
    """

    first_interaction: FloatArray
    deposits: Deposits


def simulate_showers(
    rng: np.random.Generator,
    position: FloatArray,
    direction: FloatArray,
    energy: FloatArray,
    time: FloatArray,
    *,
    xenon: XenonConfig,
) -> Showers:
    """Follow photons and all that they set free until the energy is deposited or has left the xenon.

    Args:
        rng: Source of randomness.
        position: Where the photons enter, cm, shape (n, 3).
        direction: Unit vectors, shape (n, 3).
        energy: MeV, shape (n,).
        time: When they enter, ns, shape (n,).
        xenon: The material.
    """
    count = len(energy)
    photons = Particles(
        event=np.arange(count),
        position=np.ascontiguousarray(position.T, dtype=np.float32),
        direction=np.ascontiguousarray(direction.T, dtype=np.float32),
        energy=energy.astype(np.float32),
        time=time.astype(np.float32),
        special=np.ones(count, dtype=bool),
    )
    electrons = photons.select(np.zeros(0, dtype=np.intp))
    first = np.full((3, count), np.nan)
    deposited = [electrons]
    while len(photons) or len(electrons):
        interactions = transport_photons(rng, photons, xenon.density)
        fresh = interactions.interacted.select(interactions.interacted.special)
        first[:, fresh.event] = fresh.position
        step = step_electrons(rng, join([electrons, interactions.electrons]), xenon)
        deposited += [interactions.local, step.deposits]
        electrons = step.electrons
        photons = join([interactions.photons, step.photons])
    everything = join(deposited)
    return Showers(
        np.ascontiguousarray(first.T),
        Deposits(everything.event, everything.position, everything.energy, everything.time),
    )
