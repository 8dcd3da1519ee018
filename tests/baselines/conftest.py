"""Simulated events for the conventional reconstruction."""

import numpy as np
import pytest

from lib.simulation.events import Columns, EventSimulator
from lib.simulation.presets import build_config

FIT_BLOCKS, TEST_BLOCKS = 4, 2


def simulate(seed: int, num_blocks: int) -> Columns:
    simulator = EventSimulator(build_config(), seed=seed, run=1)
    blocks = [simulator.block(index) for index in range(num_blocks)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


@pytest.fixture(scope="session")
def fit_events() -> Columns:
    """2000 events of 52.83 MeV."""
    return simulate(1, FIT_BLOCKS)


@pytest.fixture(scope="session")
def test_events() -> Columns:
    """1000 other events of 52.83 MeV."""
    return simulate(2, TEST_BLOCKS)
