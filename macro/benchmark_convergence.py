"""Train the plain form of the reference architecture for a time, and the suite's own for fractions of it.

Example: python macro/benchmark_convergence.py --minutes 8 --json

Both minimize the same loss on the same events and are compared by the validation loss, each at the end of its own
learning-rate schedule. The reference is what an encoder of six faces is without the suite's additions: no window, no
physical summary, the full grid of the outer face, blocks as published, float32.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lib.cli.benchmark_command import add_timed_training, benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import RegressorConfig
from lib.config import load_config
from lib.evaluation.benchmark_row import BenchmarkRow, machine_context
from lib.simulate import main as simulate

# What imports torch is imported where it is used: run_command sets up its threads before.
if TYPE_CHECKING:
    from lib.cli.timed_training import Clock, TimedTraining

CONFIG: Final = Path(__file__).parents[1] / "configs" / "regressor" / "base.yaml"
# What both have beside the configuration of a GPU.
COMMON: Final = (
    "data.batch_size=32",
    "data.num_workers=0",
    "data.num_threads=1",
    "training.compile=none",
    "training.warmup_epochs=0.1",
)
OWN: Final = ("training.amp=bf16",)
REFERENCE: Final = (
    "training.amp=none",
    "model.fovea_side=0",
    "model.physics_skip=false",
    "model.outer_fine_pool=null",
)
FRACTIONS: Final = (32, 16, 8)
"""Parts of the reference's time that the own form is given."""


def configuration(folder: Path, settings: Sequence[str]) -> RegressorConfig:
    """Return ``configs/regressor/base.yaml`` on the samples of a folder."""
    paths = [f"data.train_path={folder / 'train'}", f"data.val_path={folder / 'val'}"]
    return load_config(RegressorConfig, CONFIG, [*paths, *COMMON, *settings])


def measure(options: argparse.Namespace, folder: Path) -> Iterator[BenchmarkRow]:
    """Train, and yield the validation loss of each training."""
    import torch  # noqa: PLC0415

    from lib.baselines.plain_blocks import plain_form  # noqa: PLC0415
    from lib.cli.timed_training import processor_clock, train_within  # noqa: PLC0415

    torch.set_num_threads(options.cores)
    clock: Clock = time.perf_counter if options.clock == "wall" else processor_clock(options.cores)
    seconds = 60.0 * options.minutes
    settings = [*options.assignments, f"training.seed={options.seed}"]
    reference = train_within(configuration(folder, [*REFERENCE, *settings]), seconds, clock, form=plain_form)
    target = reference.metrics["val/loss"]
    yield BenchmarkRow("val_loss.reference", target, "1", context=_course(reference))
    for part in FRACTIONS:
        own = train_within(configuration(folder, [*OWN, *settings]), seconds / part, clock)
        loss = own.metrics["val/loss"]
        yield BenchmarkRow(f"val_loss.own_{part}th", loss, "1", reference=target, context=_course(own))


def _course(training: "TimedTraining[RegressorConfig]") -> dict[str, str | int | float]:
    """Return what a row says of its training."""
    done = {"training_seconds": training.seconds, "steps": training.trainer.progress.steps_done}
    return machine_context() | done | {"seed": training.config.training.seed}


def main(arguments: Sequence[str]) -> int:
    """Simulate, train, print."""
    parser = benchmark_parser(__doc__)
    add_timed_training(parser)
    parser.set_defaults(minutes=30.0, events=20_000)
    parser.add_argument("--val_events", type=int, default=500, help="events to validate on (default: 500)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="convergence_") as scratch:
        folder = options.data or Path(scratch)
        if options.data is None:
            for run, (name, events) in enumerate({"train": options.events, "val": options.val_events}.items()):
                sample = ["--events", str(events), "--run", str(run + 1), "--set", "energy.kind=uniform"]
                simulate(["--output", str(folder / name), "--seed", str(options.seed), *sample])
        print_rows(measure(options, folder), as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
