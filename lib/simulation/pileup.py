"""A second photon in the readout window of the first."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import FloatArray, IndexArray
from lib.simulation.config import EnergyConfig, SimulationConfig
from lib.simulation.generator import draw_emission
from lib.simulation.light import Light
from lib.simulation.shower import simulate_showers
from lib.simulation.voxels import Sources, merge_deposits

# How much of a pulse falls into the charge window: it decays with the scintillation when it comes too early, and is
# cut off at the window's end when it comes late.
_DECAY_TIME, _WINDOW_LENGTH = 45.0, 150.0  # ns
# The earlier photon defines a sensor's time where it brings this much of the other's light.
_TIMING_SHARE = 0.3


@dataclass(frozen=True)
class Pileup:
    """The second photons of a block of events.

    Attributes:
        sources: Where they deposit energy; events without a second photon have none.
        delay: When each leaves the target after the first photon, ns, shape (n,).
    """

    sources: Sources
    delay: FloatArray

    @property
    def present(self) -> BoolArray:
        """True for events with a second photon that deposits energy, shape (n,)."""
        return np.diff(self.sources.bounds) > 0

    def pick(self, events: IndexArray) -> "Pileup":
        """Return the second photons of some events."""
        return Pileup(self.sources.pick(events), self.delay[events])


def draw_pileup(rng: np.random.Generator, count: int, config: SimulationConfig) -> Pileup:
    """Draw the second photons of ``count`` events."""
    hit = np.flatnonzero(rng.random(count) < config.pileup.probability)
    spectrum = EnergyConfig(kind="exponential", mean=config.pileup.mean_energy)
    emission = draw_emission(rng, len(hit), config, spectrum)
    showers = simulate_showers(
        rng, emission.aim, emission.direction, emission.energy, emission.flight_time, xenon=config.xenon
    )
    deposits = showers.deposits.renumbered(hit)
    delay = rng.uniform(-config.pileup.window, config.pileup.window, count)
    return Pileup(merge_deposits(deposits, count), delay)


def overlay(first: Light, second: Light, delay: FloatArray) -> Light:
    """Return the light of two photons in one readout window.

    Args:
        first: Light of the photon that was triggered on, n events.
        second: Light of the other one.
        delay: Of the second photon, ns, shape (n,).
    """
    inside = np.where(delay < 0, np.exp(delay / _DECAY_TIME), np.clip(1 - delay / _WINDOW_LENGTH, 0, 1))
    extra = second.photons * inside.astype(np.float32)[:, None]
    second_arrival = second.arrival + delay.astype(np.float32)[:, None]
    takes_over = (extra > _TIMING_SHARE * first.photons) & (second_arrival < first.arrival)
    return Light(first.photons + extra, np.where(takes_over, second_arrival, first.arrival))
