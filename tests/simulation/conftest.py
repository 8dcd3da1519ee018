"""Events that several test modules look at."""

import numpy as np
import pytest

from lib.simulation.events import Columns, EventSimulator
from lib.simulation.presets import build_config

NUM_BLOCKS = 5
ALL_BRANCHES = ["output.expected_light=true", "output.relative=true"]


@pytest.fixture(scope="session")
def simulator() -> EventSimulator:
    return EventSimulator(build_config(assignments=ALL_BRANCHES), seed=3, run=1)


@pytest.fixture(scope="session")
def events(simulator: EventSimulator) -> Columns:
    """2500 events of the default preset."""
    blocks = [simulator.block(index) for index in range(NUM_BLOCKS)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
