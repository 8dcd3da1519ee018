"""Bounds must scale as photon statistics does, and reach the figures of the default preset."""

from dataclasses import replace

import numpy as np
import pytest

from lib.simulation.bounds import statistical_bounds
from lib.simulation.events import BLOCK_EVENTS, EventSimulator
from lib.simulation.voxels import Sources, merge_deposits

NUM_EVENTS = 150


@pytest.fixture(scope="module")
def sources(simulator: EventSimulator) -> Sources:
    accepted = simulator.draw_accepted(simulator.generator(0))
    return merge_deposits(accepted.deposits, BLOCK_EVENTS).pick(np.arange(NUM_EVENTS))


def test_bounds_of_the_default_preset_are_reached(simulator: EventSimulator, sources: Sources) -> None:
    found = statistical_bounds(sources, simulator.light, simulator.detector, simulator.config.timing)
    medians = [*np.median(10 * found.uvw, axis=0), 100 * np.median(found.log_energy), 1e3 * np.median(found.time)]
    # Energy and time hardly differ from event to event; the bounds of position do, by 7 % in this median.
    np.testing.assert_allclose(medians[:3], [0.42, 0.38, 0.42], rtol=0.1 + 2 * 0.07)
    np.testing.assert_allclose(medians[3:], [0.42, 46.0], rtol=0.1)


def test_four_times_the_light_halves_the_errors_where_noise_is_small(
    simulator: EventSimulator, sources: Sources
) -> None:
    quiet = replace(simulator.detector, noise=np.zeros(4760, dtype=np.float32))
    timing = simulator.config.timing.model_copy(update={"constant": 0.0, "min_photoelectrons": 0.0})
    part = sources.pick(np.arange(10))
    brighter = Sources(part.position, 4 * part.energy, part.time, part.bounds)
    dim = statistical_bounds(part, simulator.light, quiet, timing)
    bright = statistical_bounds(brighter, simulator.light, quiet, timing)
    for one, four in ((dim.uvw, bright.uvw), (dim.log_energy, bright.log_energy), (dim.time, bright.time)):
        np.testing.assert_allclose(one, 2 * four, rtol=5e-3)


def test_dead_channels_tell_nothing(simulator: EventSimulator, sources: Sources) -> None:
    part = sources.pick(np.arange(10))
    half_dead = replace(simulator.detector, dead=np.arange(4760) % 2 == 0)
    whole = statistical_bounds(part, simulator.light, simulator.detector, simulator.config.timing)
    fewer = statistical_bounds(part, simulator.light, half_dead, simulator.config.timing)
    assert np.all(fewer.time > whole.time)
    assert np.all(fewer.log_energy > whole.log_energy)
