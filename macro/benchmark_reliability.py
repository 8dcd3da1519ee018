"""Break trainings and files in every way that the tests know, and count what held.

The suites are those of tests/: what is counted here is what they assert.
"""

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# The suites lie beside the package, not in it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from lib.cli.benchmark_command import benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.evaluation.benchmark_row import BenchmarkRow

# Events of a batch; the guard's own price does not depend on it.
OVERHEAD_EVENTS = 64
Suite = Callable[[Path, bool], list[BenchmarkRow]]


def kill_rows(folder: Path, short: bool) -> list[BenchmarkRow]:
    """Return how many processes were killed in the middle of their training, and how many runs ended otherwise then."""
    from tests.cli.killed_run import KINDS  # noqa: PLC0415
    from tests.cli.test_kill import SHORT_KILLS, prove  # noqa: PLC0415

    kills = different = runs = 0
    for kind in KINDS:
        for number in range(1 if short else 10):
            place = folder / f"{kind}_{number}"
            place.mkdir()
            runs += 1
            try:
                kills += prove(place, kind, events=12, kills=SHORT_KILLS[kind], runs=1 if short else 2)
            except AssertionError as error:
                different += 1
                sys.stderr.write(f"{kind}: {error}\n")
    return [
        BenchmarkRow("kills", kills, "processes", n=runs),
        BenchmarkRow("kill_differences", different, "runs", n=runs),
    ]


def flip_rows(folder: Path, short: bool) -> list[BenchmarkRow]:
    """Return how many checkpoints with one flipped bit were refused."""
    import torch  # noqa: PLC0415

    from lib.errors import CheckpointError  # noqa: PLC0415
    from lib.training.saving.sealed_file import verify_seal, write_sealed  # noqa: PLC0415
    from tests.training.hostile_files import flipped  # noqa: PLC0415

    path, count, refused = folder / "flipped.pth", 200 if short else 1000, 0
    write_sealed(path, {"weights": torch.arange(5000.0)})
    for content in flipped(path.read_bytes(), count):
        path.write_bytes(content)
        try:
            verify_seal(path)
        except CheckpointError:
            refused += 1
    return [BenchmarkRow("flips_refused", refused, "files", reference=count, n=count)]


def hostile_rows(folder: Path, short: bool) -> list[BenchmarkRow]:  # noqa: ARG001 - they take seconds
    """Return how many checkpoints that were made to do harm were refused, and the longest time that one took."""
    from lib.errors import CheckpointError  # noqa: PLC0415
    from lib.training.saving.sealed_file import read_sealed  # noqa: PLC0415
    from tests.training.hostile_files import hostile_checkpoints, seal  # noqa: PLC0415

    canary, refused, longest = folder / "canary", 0, 0.0
    attacks = hostile_checkpoints(canary)
    for archive in attacks.values():
        path = seal(folder / "hostile.pth", archive)
        begin = time.perf_counter()
        try:
            read_sealed(path)
        except CheckpointError:
            refused += not canary.exists()
        longest = max(longest, time.perf_counter() - begin)
    return [
        BenchmarkRow("hostile_checkpoints_refused", refused, "files", reference=len(attacks), n=len(attacks)),
        BenchmarkRow("hostile_checkpoints_longest_s", longest, "s", reference=2.0, n=len(attacks)),
    ]


def root_rows(folder: Path, short: bool) -> list[BenchmarkRow]:
    """Return how many ROOT files with one fault gave values that they do not mean, or ended reading without a name."""
    from lib.data.checks.mutant_trial import count_verdicts, try_mutants  # noqa: PLC0415

    count = 100 if short else 1000
    verdicts = count_verdicts(try_mutants(folder / "error", count, "error", seed=7))
    verdicts += count_verdicts(try_mutants(folder / "quarantine", count, "quarantine", seed=8))
    return [
        BenchmarkRow("root_mutants_silent", verdicts["silent"], "files", n=2 * count),
        BenchmarkRow("root_mutants_unnamed", verdicts["unnamed_error"] + verdicts["crash"], "files", n=2 * count),
    ]


def guard_rows(folder: Path, short: bool) -> list[BenchmarkRow]:  # noqa: ARG001 - simulated in memory
    """Return how many of simulated healthy steps the guard skips."""
    from lib.training.stability.guard_config import GuardConfig  # noqa: PLC0415
    from lib.training.stability.norm_window import NormWindow  # noqa: PLC0415
    from tests.training.stability.test_norm_window import CPU, clean, decide, skips  # noqa: PLC0415

    runs, steps = (1 if short else 5), 2000
    false = sum(skips(decide(NormWindow(GuardConfig(), CPU), clean(steps, seed))) for seed in range(runs))
    return [BenchmarkRow("false_skips", false, "steps", n=runs * steps)]


def overhead_rows(folder: Path, short: bool) -> list[BenchmarkRow]:  # noqa: ARG001 - measured in memory
    """Return what the guard adds to a step of the quickstart regressor, in processor time."""
    from lib.cli.assembly import assemble  # noqa: PLC0415
    from lib.data.normalization import Normalization  # noqa: PLC0415
    from lib.training.stability.guard_overhead import measure_guard_overhead  # noqa: PLC0415
    from macro.benchmark_model import configuration, random_batch  # noqa: PLC0415

    config = configuration("regressor", "quickstart", [])
    parts = assemble(config, Normalization.from_config(config.normalization))
    prepared = parts.task.prepare(random_batch(config, OVERHEAD_EVENTS, "cpu"), training=True)
    repetitions = 5 if short else 30
    found = measure_guard_overhead(
        parts.model, lambda: parts.task.score(parts.model, prepared).loss, repetitions=repetitions
    )
    return [BenchmarkRow("guard_overhead_percent", found.percent, "%", reference=1.0, n=repetitions)]


# Each suite gets an empty folder and whether to be short; a further one is a further line.
SUITES: dict[str, Suite] = {
    "kills": kill_rows,
    "flips": flip_rows,
    "hostile": hostile_rows,
    "root": root_rows,
    "guard": guard_rows,
    "overhead": overhead_rows,
}


def main(arguments: Sequence[str]) -> int:
    """Run the suites and print their rows."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="minutes instead of hours")
    parser.add_argument("--only", nargs="+", choices=SUITES, default=list(SUITES), help="suites to run (default: all)")
    options = parser.parse_args(arguments)
    for name in options.only:
        with tempfile.TemporaryDirectory() as scratch:
            # The index of these files would stay behind in the user's cache.
            os.environ["XDG_CACHE_HOME"] = str(Path(scratch) / "user_cache")
            print_rows(SUITES[name](Path(scratch), options.short), as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    # The suites break things on purpose; what is said about it would hide the rows.
    logging.disable(logging.CRITICAL)
    sys.exit(run_command(main))
