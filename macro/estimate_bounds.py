"""Estimate how well photons could be measured at best, for any configuration of the simulation.

Example: python macro/estimate_bounds.py --preset default --set energy.value=30
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.benchmark_command import benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.evaluation.simulated_bounds import simulated_bounds
from lib.simulation.bounds import NOMINAL_BOUNDS
from lib.simulation.config import SimulationConfig
from lib.simulation.presets import build_config

# Photon statistics of the default preset, for comparison.
REFERENCES = {
    "bound.u_mm": NOMINAL_BOUNDS["u"],
    "bound.v_mm": NOMINAL_BOUNDS["v"],
    "bound.w_mm": NOMINAL_BOUNDS["w"],
    "bound.energy_percent": 0.42,
    "bound.time_ps": NOMINAL_BOUNDS["time"],
}


def main(arguments: Sequence[str]) -> int:
    """Print one row per bound."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--events", type=int, default=2000, help="events to estimate on (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation (default: 1)")
    parser.add_argument("--preset", choices=["default", "data_like", "calibration_55mev"], default="default")
    parser.add_argument("--config", type=Path, metavar="X.yaml", help="settings that differ from the preset")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="SECTION.KEY=VALUE")
    options = parser.parse_args(arguments)
    config = build_config(options.preset, options.config, options.assignments)
    references = REFERENCES if config == SimulationConfig() else {}
    print_rows(simulated_bounds(config, options.seed, options.events, references), as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
