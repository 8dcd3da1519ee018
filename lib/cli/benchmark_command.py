"""What the command lines of all benchmarks share: how they are told what to measure, and how they print it."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from lib.evaluation.benchmark_row import BenchmarkRow


def benchmark_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows the description as it stands and knows --json."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    return parser


def add_timed_training(parser: argparse.ArgumentParser) -> None:
    """Let a benchmark be told what to train on, for how long, by which clock, and with which settings."""
    parser.add_argument("--minutes", type=float, help="time of training, instead of the default")
    parser.add_argument("--events", type=int, help="events to train on, instead of the default")
    parser.add_argument("--data", type=Path, help="folder with the samples; simulated anew without it")
    parser.add_argument("--cores", type=int, default=2, help="threads of the training (default: 2)")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: processor time over cores, for a busy machine"
    )
    parser.add_argument("--seed", type=int, default=1, help="of simulation and training (default: 1)")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="SECTION.KEY=VALUE")


def print_rows(rows: Iterable[BenchmarkRow], *, as_json: bool) -> None:
    """Write each row to standard output as soon as it is measured, as JSON or for people."""
    for row in rows:
        sys.stdout.write((row.to_json() if as_json else row.to_text()) + "\n")
        sys.stdout.flush()
