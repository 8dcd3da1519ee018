"""Simulate events of the detector and write them as ROOT files."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import run_command

# The arrays of an event are small: more BLAS threads than one per process only wait for each other.
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lib.simulate", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the files")
    parser.add_argument("--events", type=int, required=True, metavar="N", help="events in all files together")
    parser.add_argument("--seed", type=int, required=True, metavar="S", help="chooses the events")
    parser.add_argument("--run", type=int, default=1, metavar="R", help="run number (default: 1)")
    parser.add_argument("--config", type=Path, metavar="X.yaml", help="settings that differ from the preset")
    parser.add_argument(
        "--preset",
        choices=["default", "data_like", "calibration_55mev"],
        default="default",
        help="settings to start from (default: default)",
    )
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override one setting, such as energy.kind=uniform; may be repeated",
    )
    parser.add_argument("--processes", type=int, default=1, metavar="K", help="files written at a time (default: 1)")
    parser.add_argument(
        "--events-per-file", type=int, default=10_000, metavar="M", help="events of one file (default: 10000)"
    )
    parser.add_argument(
        "--compression", choices=["lz4", "zstd", "zlib", "lzma", "none"], default="lz4", help="codec (default: lz4)"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Simulate what the command line asks for and return the exit code.

    Files that are there already are left alone when they hold these very events, and refused otherwise.
    """
    options = _parse(arguments)
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    # Imported late: --help needs none of NumPy and uproot, and BLAS reads its environment when it is loaded.
    from lib.simulation.presets import build_config  # noqa: PLC0415
    from lib.simulation.production import Production, produce  # noqa: PLC0415

    produce(
        Production(
            config=build_config(options.preset, options.config, options.assignments),
            output=options.output,
            num_events=options.events,
            seed=options.seed,
            run=options.run,
            events_per_file=options.events_per_file,
            compression=options.compression,
            num_processes=options.processes,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
