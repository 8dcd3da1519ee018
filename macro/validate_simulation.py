"""Compare the simulation, and the conventional reconstruction of it, with the figures they must reach.

Example: python macro/validate_simulation.py --events 20000 --json
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lib.baselines.conventional import ConventionalReconstruction
from lib.cli.benchmark_command import benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.data.branches import ENERGY, NPHO, TIME, TIME_TRUTH, UVW
from lib.evaluation.benchmark_row import BenchmarkRow
from lib.evaluation.statistics.resolution import core_sigma
from lib.simulation.events import BLOCK_EVENTS, Columns, EventSimulator
from lib.simulation.presets import build_config
from lib.simulation.validation import Tally, light_errors

# What is required of the default preset.
FIGURES = {
    "conversion_length_cm": (5.6, "cm"),
    "fraction_w_below_2cm": (0.32, ""),
    "deposited_fraction": (0.97, ""),
    "photoelectrons": (76_000.0, ""),
    "fraction_with_time": (0.36, ""),
    "fraction_above_100": (0.24, ""),
}
LIGHT_ERROR = 0.03
CONVENTIONAL = {
    "energy_core_percent": (1.96, "%"),
    "u_core_mm": (4.0, "mm"),
    "v_core_mm": (3.75, "mm"),
    "w_core_mm": (3.4, "mm"),
    "time_core_ps": (62.0, "ps"),
}


def blocks(simulator: EventSimulator, num_events: int) -> Iterator[Columns]:
    """Yield whole blocks, as many as are needed for ``num_events``."""
    for index in range(-(-num_events // BLOCK_EVENTS)):
        yield simulator.block(index)


def fitted_reconstruction(simulator: EventSimulator, num_events: int) -> ConventionalReconstruction:
    """Return the conventional reconstruction fitted to events of a simulator."""
    sample = list(blocks(simulator, num_events))
    joined = {name: np.concatenate([part[name] for part in sample]) for name in (NPHO, TIME, ENERGY, TIME_TRUTH, UVW)}
    return ConventionalReconstruction.fit(joined[NPHO], joined[TIME], joined)


def residuals(reconstruction: ConventionalReconstruction, events: Columns) -> dict[str, np.ndarray]:
    """Return the errors of the reconstruction, in the units of ``CONVENTIONAL``."""
    found = reconstruction.reconstruct(events[NPHO], events[TIME])
    shift = 10 * (found["uvw"] - events[UVW])
    return {
        "energy_core_percent": 100 * (found["energy"] / events[ENERGY] - 1),
        "u_core_mm": shift[:, 0],
        "v_core_mm": shift[:, 1],
        "w_core_mm": shift[:, 2],
        "time_core_ps": 1e12 * (found["time"] - events[TIME_TRUTH]),
    }


def measure(options: argparse.Namespace) -> Iterator[BenchmarkRow]:
    """Yield the rows."""
    config = build_config(options.preset, options.config, options.assignments)
    simulator = EventSimulator(config, options.seed, run=1)
    reconstruction = fitted_reconstruction(EventSimulator(config, options.seed + 1, run=1), options.fit_events)
    tally, errors = Tally(simulator.detector.calibration), []
    for events in blocks(simulator, options.events):
        tally.add(events)
        errors.append(residuals(reconstruction, events))
    for name, (required, unit) in FIGURES.items():
        mean, error = tally.mean(name)
        yield BenchmarkRow(name, mean, unit, error=error, reference=required, n=int(tally.sums[name][0]))
    worst = light_errors(
        simulator.light, simulator.detector.sensors, config, np.random.default_rng(options.seed), options.light_sources
    )
    yield BenchmarkRow("light_error_max", float(worst.max()), "", reference=LIGHT_ERROR, n=len(worst))
    for name, (required, unit) in CONVENTIONAL.items():
        values = np.concatenate([part[name] for part in errors])
        core = core_sigma(values[np.isfinite(values)])
        yield BenchmarkRow(
            f"conventional.{name}", core.sigma, unit, error=core.sigma_error, reference=required, n=len(values)
        )


def main(arguments: Sequence[str]) -> int:
    """Simulate, reconstruct and print one row per figure."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="events to measure on (default: 20000)")
    parser.add_argument("--fit-events", type=int, default=10_000, help="events of the fit (default: 10000)")
    parser.add_argument("--light-sources", type=int, default=300, help="points to check light at (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation (default: 1)")
    parser.add_argument("--preset", choices=["default", "data_like", "calibration_55mev"], default="default")
    parser.add_argument("--config", type=Path, metavar="X.yaml", help="settings that differ from the preset")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="SECTION.KEY=VALUE")
    options = parser.parse_args(arguments)
    print_rows(measure(options), as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
