"""Measure how fast events are simulated and written as ROOT files, in fresh processes.

Example: python macro/benchmark_simulation.py --json
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lib.cli.benchmark_command import benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.evaluation.benchmark_row import BenchmarkRow

REQUIRED_RATE, REQUIRED_GAIN = 1500.0, 1.8


def seconds(num_events: int, num_processes: int, compression: str, folder: Path) -> float:
    """Return how long the command takes from its start to its end."""
    command = [sys.executable, "-m", "lib.simulate", "--output", str(folder), "--seed", "1"]
    command += ["--events", str(num_events), "--events-per-file", str(-(-num_events // 4))]
    command += ["--processes", str(num_processes), "--compression", compression]
    start = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return time.perf_counter() - start


def best_rate(options: argparse.Namespace, num_processes: int) -> float:
    """Return the events per second of the fastest of some repetitions."""
    times = []
    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            times.append(seconds(options.events, num_processes, options.compression, Path(folder) / "files"))
    return options.events / min(times)


def main(arguments: Sequence[str]) -> int:
    """Print one row for one process and one for two."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="events of each run (default: 20000)")
    parser.add_argument("--repeat", type=int, default=1, help="runs, of which the fastest counts (default: 1)")
    parser.add_argument("--compression", default="lz4", help="codec (default: lz4)")
    parser.add_argument("--scratch", type=Path, help="folder for the files (default: the system's)")
    options = parser.parse_args(arguments)
    single = best_rate(options, 1)
    double = best_rate(options, 2)
    rows = [
        BenchmarkRow("simulate.one_process", single, "events/s", reference=REQUIRED_RATE, n=options.events),
        BenchmarkRow("simulate.two_processes", double, "events/s", reference=REQUIRED_GAIN * single, n=options.events),
    ]
    print_rows(rows, as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
