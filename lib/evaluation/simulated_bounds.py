"""How well simulated events could be measured at best, as rows of a benchmark."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from lib.evaluation.benchmark_row import BenchmarkRow
from lib.evaluation.statistics.resolution import core_sigma
from lib.simulation.bounds import statistical_bounds
from lib.simulation.config import SimulationConfig
from lib.simulation.events import BLOCK_EVENTS, EventSimulator
from lib.simulation.voxels import merge_deposits

_STEP: Final = 50


def simulated_bounds(
    config: SimulationConfig, seed: int, num_events: int, references: Mapping[str, float]
) -> Iterator[BenchmarkRow]:
    """Yield the median bounds over events, and the width of the deposited energy.

    Args:
        config: Of the simulation.
        seed: Of the simulation.
        num_events: Simulated, in whole blocks.
        references: What some rows are compared with, by name.
    """
    simulator = EventSimulator(config, seed, run=1)
    bounds, contained = [], []
    for index in range(-(-num_events // BLOCK_EVENTS)):
        accepted = simulator.draw_accepted(simulator.generator(index))
        sources = merge_deposits(accepted.deposits, BLOCK_EVENTS)
        contained.append(sources.energy_per_event() / accepted.emission.energy)
        for first in range(0, BLOCK_EVENTS, _STEP):
            part = sources.pick(np.arange(first, first + _STEP))
            bounds.append(statistical_bounds(part, simulator.light, simulator.detector, config.timing))
    uvw = 10 * np.concatenate([bound.uvw for bound in bounds])
    values = {
        "bound.u_mm": uvw[:, 0],
        "bound.v_mm": uvw[:, 1],
        "bound.w_mm": uvw[:, 2],
        "bound.energy_percent": 100 * np.concatenate([bound.log_energy for bound in bounds]),
        "bound.time_ps": 1e3 * np.concatenate([bound.time for bound in bounds]),
    }
    for name, sigma in values.items():
        # The error of a median, from the density of a normal distribution there.
        error = 1.2533 * float(np.std(sigma)) / np.sqrt(len(sigma))
        unit = name.rsplit("_", 1)[1].replace("percent", "%")
        yield BenchmarkRow(
            name, float(np.median(sigma)), unit, error=error, reference=references.get(name), n=len(sigma)
        )
    core = core_sigma(100 * np.concatenate(contained))
    yield BenchmarkRow("containment.core_percent", core.sigma, "%", error=core.sigma_error, n=core.num_core)
    yield BenchmarkRow("containment.mean_percent", 100 * float(np.mean(np.concatenate(contained))), "%")
