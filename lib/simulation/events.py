"""Whole events, from the target to the branches of a file.

Events come in blocks of fixed size, each with a random stream that is a function of (seed, run, block). So an event
depends on nothing but these and its number: not on how many are asked for, in which file or process, or in what order.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import (
    EMISSION_ANGLE,
    EMISSION_VECTOR,
    ENERGY,
    EVENT,
    N_GAMMA,
    NO_VALUE,
    NPHO,
    NPHO_EXPECTED,
    RELATIVE_NPHO,
    RELATIVE_TIME,
    RUN,
    TIME,
    TIME_TRUTH,
    UVW,
    VERTEX,
    XYZ,
)
from lib.geometry.coordinates import BoolArray, emission_angles, xyz_to_uvw
from lib.geometry.sensors import NUM_SENSORS, FloatArray
from lib.simulation.config import OutputConfig, SimulationConfig
from lib.simulation.detector_state import build_detector
from lib.simulation.electronics import detect_photons, measure_times, relative_to_event
from lib.simulation.generator import Emission, draw_emission
from lib.simulation.kernels import available_kernels
from lib.simulation.light import Light, LightModel
from lib.simulation.particles import SPEED_OF_LIGHT
from lib.simulation.pileup import Pileup, draw_pileup, overlay
from lib.simulation.shower import Deposits, simulate_showers
from lib.simulation.voxels import Sources, merge_deposits, sum_by_index

BLOCK_EVENTS = 500
# Events whose sensors are worked on together: their arrays stay in the processor's cache.
_CHUNK_EVENTS = 25

DEPOSITED_ENERGY = "energyDeposited"
LIGHT_CENTRE = "xyzLightCentre"

_GEV_PER_MEV = 1e-3
_SECONDS_PER_NS = 1e-9

Columns: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class AcceptedPhotons:
    """The photons of a block that fired the trigger.

    Attributes:
        emission: How they were emitted.
        first_interaction: Where they interacted first, cm, shape (n, 3).
        deposits: Numbered by their place in the block.
    """

    emission: Emission
    first_interaction: FloatArray
    deposits: Deposits


class EventSimulator:
    """Simulates the events of one run.

    Args:
        config: What is simulated.
        seed: Chooses the events.
        run: Run number, which also chooses the events, and the detector where ``detector.per_run`` says so.

    Attributes:
        config: What is simulated.
        detector: The detector of the run.
        light: How light reaches it.
    """

    def __init__(self, config: SimulationConfig, seed: int, run: int) -> None:
        self.config = config
        self._seed, self._run = seed, run
        self.detector = build_detector(config, run)
        self._kernels = available_kernels()
        self.light = LightModel(self.detector.sensors, config.xenon, self._kernels)

    def block(self, index: int) -> Columns:
        """Return the branches of the events from ``index * BLOCK_EVENTS`` on, a whole block."""
        rng = self.generator(index)
        accepted = self.draw_accepted(rng)
        sources = merge_deposits(accepted.deposits, BLOCK_EVENTS)
        pileup = draw_pileup(rng, BLOCK_EVENTS, self.config) if self.config.pileup.probability > 0 else None
        start = rng.uniform(-1, 1, BLOCK_EVENTS) * self.config.trigger.t0_spread
        columns = self._truth(accepted, sources, pileup, start)
        columns[EVENT] = index * BLOCK_EVENTS + np.arange(BLOCK_EVENTS)
        columns |= self._sensors(rng, sources, pileup, start)
        return columns

    def generator(self, block: int) -> np.random.Generator:
        """Return the random numbers of a block, from their start."""
        return np.random.Generator(np.random.SFC64([self._seed, self._run, block]))

    def draw_accepted(self, rng: np.random.Generator) -> AcceptedPhotons:
        """Draw photons until a block of them has fired the trigger."""
        groups: list[tuple[Emission, FloatArray, Deposits]] = []
        missing = BLOCK_EVENTS
        while missing:
            # A tenth is lost at the edges of the detector; a round more costs as much as hundreds of events.
            tried = missing + missing // 8 + 8
            emission = draw_emission(rng, tried, self.config)
            showers = simulate_showers(
                rng, emission.aim, emission.direction, emission.energy, emission.flight_time, xenon=self.config.xenon
            )
            deposited = sum_by_index(showers.deposits.event, showers.deposits.energy, tried)
            chosen = np.flatnonzero(self._triggers(showers.first_interaction, deposited))[:missing]
            number = np.full(tried, -1)
            number[chosen] = BLOCK_EVENTS - missing + np.arange(len(chosen))
            groups.append(
                (emission.select(chosen), showers.first_interaction[chosen], showers.deposits.renumbered(number))
            )
            missing -= len(chosen)
        emissions, first, deposits = zip(*groups, strict=True)
        return AcceptedPhotons(Emission.join(emissions), np.concatenate(first), Deposits.join(deposits))

    def _triggers(self, first_interaction: FloatArray, deposited: FloatArray) -> BoolArray:
        """Return True for photons that convert within the accepted area and leave enough energy."""
        u, v, _ = xyz_to_uvw(first_interaction).T
        inside = (np.abs(u) < self.config.u_max) & (np.abs(v) < self.config.v_max)
        return inside & (deposited > self.config.trigger.min_deposit)

    def _truth(self, accepted: AcceptedPhotons, sources: Sources, pileup: Pileup | None, start: FloatArray) -> Columns:
        """Return the branches that say what really happened."""
        flight = accepted.first_interaction - accepted.emission.vertex
        distance = np.linalg.norm(flight, axis=1)
        direction = flight / distance[:, None]
        second = pileup.present if pileup else np.zeros(BLOCK_EVENTS, dtype=bool)
        return {
            RUN: np.full(BLOCK_EVENTS, self._run, dtype=np.int64),
            ENERGY: accepted.emission.energy * _GEV_PER_MEV,
            # At the first interaction: the vertex, which this detector does not see, would blur it by 46 ps.
            TIME_TRUTH: (start + distance / float(SPEED_OF_LIGHT)) * _SECONDS_PER_NS,
            UVW: xyz_to_uvw(accepted.first_interaction),
            XYZ: accepted.first_interaction,
            VERTEX: accepted.emission.vertex,
            EMISSION_ANGLE: emission_angles(direction),
            EMISSION_VECTOR: direction,
            N_GAMMA: 1 + second.astype(np.int64),
            DEPOSITED_ENERGY: sources.energy_per_event() * _GEV_PER_MEV,
            LIGHT_CENTRE: sources.centre(),
        }

    def _sensors(self, rng: np.random.Generator, sources: Sources, pileup: Pileup | None, start: FloatArray) -> Columns:
        """Return the branches of the sensors, each of shape (BLOCK_EVENTS, 4760)."""
        names = sensor_branches(self.config.output)
        sensors = {name: np.empty((BLOCK_EVENTS, NUM_SENSORS), dtype=np.float32) for name in names}
        for first in range(0, BLOCK_EVENTS, _CHUNK_EVENTS):
            events = np.arange(first, first + _CHUNK_EVENTS)
            light = self._expected_light(sources.pick(events), pileup.pick(events) if pileup else None)
            if self.config.xenon.fluctuation > 0:
                fluctuation = rng.normal(1.0, self.config.xenon.fluctuation, (_CHUNK_EVENTS, 1))
                light = Light(light.photons * fluctuation.astype(np.float32), light.arrival)
            for name, values in self._read_out(rng, light, start[events]).items():
                sensors[name][first : first + _CHUNK_EVENTS] = values
        return sensors

    def _expected_light(self, sources: Sources, pileup: Pileup | None) -> Light:
        light = self.light.expected(sources)
        if pileup is None or not pileup.present.any():
            return light
        hit = np.flatnonzero(pileup.present)
        both = overlay(light.pick(hit), self.light.expected(pileup.sources.pick(hit)), pileup.delay[hit])
        light.photons[hit], light.arrival[hit] = both.photons, both.arrival
        return light

    def _read_out(self, rng: np.random.Generator, light: Light, start: FloatArray) -> Columns:
        """Return the branches of the sensors for a chunk of events."""
        detector, output = self.detector, self.config.output
        photoelectrons = detect_photons(rng, light.photons, detector, self._kernels)
        time = measure_times(rng, photoelectrons, light, start, detector=detector, timing=self.config.timing)
        npho = photoelectrons / detector.calibration
        npho[:, detector.dead] = NO_VALUE
        time[:, detector.dead] = NO_VALUE
        columns = {NPHO: npho, TIME: time}
        if output.relative:
            columns[RELATIVE_NPHO], columns[RELATIVE_TIME] = relative_to_event(npho, time, photoelectrons)
        if output.expected_light:
            columns[NPHO_EXPECTED] = light.photons * (detector.efficiency / detector.calibration)
        return columns


def sensor_branches(output: OutputConfig) -> list[str]:
    """Return the names of the branches with one value per sensor."""
    relative = [RELATIVE_NPHO, RELATIVE_TIME] if output.relative else []
    return [NPHO, TIME, *relative, *([NPHO_EXPECTED] if output.expected_light else [])]


def branch_types(config: SimulationConfig) -> dict[str, np.dtype[Any]]:
    """Return name and type of each branch of a file, in the order in which they stand."""
    types: dict[str, np.dtype[Any]] = {
        name: np.dtype((np.float32, (NUM_SENSORS,))) for name in sensor_branches(config.output)
    }
    types |= {name: np.dtype(np.int64) for name in (RUN, EVENT, N_GAMMA)}
    types |= {name: np.dtype(np.float64) for name in (ENERGY, TIME_TRUTH, DEPOSITED_ENERGY)}
    types |= {name: np.dtype((np.float64, (3,))) for name in (UVW, XYZ, VERTEX, EMISSION_VECTOR, LIGHT_CENTRE)}
    types[EMISSION_ANGLE] = np.dtype((np.float64, (2,)))
    return types
