"""Estimate how well photons could be measured at best, for any configuration of the simulation.

Example: python macro/estimate_bounds.py --preset default --set energy.value=30
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lib.cli.entry import EXIT_DONE, run_command
from lib.evaluation.benchmark_row import BenchmarkRow
from lib.evaluation.statistics.resolution import core_sigma
from lib.simulation.bounds import NOMINAL_BOUNDS, statistical_bounds
from lib.simulation.config import SimulationConfig
from lib.simulation.events import BLOCK_EVENTS, EventSimulator
from lib.simulation.presets import build_config
from lib.simulation.voxels import merge_deposits

_STEP = 50
# Photon statistics of the default preset, for comparison.
REFERENCES = {
    "bound.u_mm": NOMINAL_BOUNDS["u"],
    "bound.v_mm": NOMINAL_BOUNDS["v"],
    "bound.w_mm": NOMINAL_BOUNDS["w"],
    "bound.energy_percent": 0.42,
    "bound.time_ps": NOMINAL_BOUNDS["time"],
}


def measure(
    config: SimulationConfig, seed: int, num_events: int, references: dict[str, float]
) -> Iterator[BenchmarkRow]:
    """Yield the median bounds over events, and the width of the deposited energy."""
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


def main(arguments: Sequence[str]) -> int:
    """Print one row per bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000, help="events to estimate on (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation (default: 1)")
    parser.add_argument("--preset", choices=["default", "data_like", "calibration_55mev"], default="default")
    parser.add_argument("--config", type=Path, metavar="X.yaml", help="settings that differ from the preset")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    options = parser.parse_args(arguments)
    config = build_config(options.preset, options.config, options.assignments)
    references = REFERENCES if config == SimulationConfig() else {}
    for row in measure(config, options.seed, options.events, references):
        print(row.to_json() if options.json else row.to_text(), flush=True)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
