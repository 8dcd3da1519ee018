"""Train an inpainter for a given time and compare it with the conventional methods on the same dead channels.

Example: python macro/benchmark_inpainting.py --budget 20min --json

Simulates 15-60 MeV to train on and 52.83 MeV with the expected light to test on, or takes what --data holds of it (the
folders train, val, test). Scores 5 % of the sensors hidden at random and, as dead88, one pattern of 88 dead channels.
The reference of each row is the better of the conventional methods. --model scores a checkpoint instead of training.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import torch

from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import InpainterConfig
from lib.cli.timed_training import processor_clock, train_within
from lib.config import load_config
from lib.data.branches import INVALID_ABOVE, NPHO_EXPECTED
from lib.data.config import DataConfig
from lib.data.normalization import Normalization
from lib.evaluation.benchmark_row import BenchmarkRow
from lib.evaluation.raw_events import RawEvents
from lib.evaluation.restoration_scores import DECADES, ScoredSensors
from lib.evaluation.restorer import ConventionalRestorer, InpainterRestorer, Restorer, open_restorer
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import FACE_NAMES, NUM_SENSORS
from lib.models.inpainter import Inpainter
from lib.simulate import main as simulate
from lib.training.device import choose_device

ROOT: Final = Path(__file__).parents[1]
CONFIG: Final = "configs/inpainter/quickstart.yaml"
BUDGETS: Final = {"20min": (1200.0, 60_000), "3h": (10_800.0, 500_000)}
CONVENTIONAL: Final = (
    ConventionalRestorer("neighbours"),
    ConventionalRestorer("solid_angle"),
    ConventionalRestorer("light_fit"),
)
HIDDEN_SHARE: Final = 0.05
NUM_DEAD: Final = 88


def simulate_samples(folder: Path, events: int, seed: int) -> None:
    """Write the samples that a folder lacks."""
    samples = {
        "train": ["--events", str(events), "--run", "1", "--set", "energy.kind=uniform"],
        "val": ["--events", "1000", "--run", "2", "--set", "energy.kind=uniform"],
        "test": ["--events", "2000", "--run", "4", "--set", "dead.number=0", "--set", "output.expected_light=true"],
    }
    for name, options in samples.items():
        simulate(["--output", str(folder / name), "--seed", str(seed), *options])


def trained(options: argparse.Namespace, folder: Path, contexts: ExitStack) -> InpainterRestorer:
    """Return an inpainter trained as long as the budget allows; within the contexts with averaged weights."""
    seconds, _ = BUDGETS[options.budget]
    assignments = [f"data.train_path={folder / 'train'}", f"data.val_path={folder / 'val'}"]
    config = load_config(InpainterConfig, ROOT / CONFIG, [*assignments, *options.assignments])
    torch.set_num_threads(options.cores)
    clock = time.perf_counter if options.clock == "wall" else processor_clock(options.cores)
    training = train_within(config, 60.0 * options.minutes if options.minutes else seconds, clock)
    if training.trainer.average is not None:
        contexts.enter_context(training.trainer.average.swapped())
    model = training.trainer.model.eval()
    assert isinstance(model, Inpainter)
    return InpainterRestorer(model, Normalization.from_config(config.normalization), choose_device())


def scored(restorers: Sequence[Restorer], events: RawEvents, pattern: str, seed: int) -> ScoredSensors:
    """Return what each restorer says of the sensors that a pattern hides.

    Args:
        restorers: Methods and model.
        events: With the expected light.
        pattern: random, for 5 % of the sensors of each event; dead88, for the same 88 in all events.
        seed: Of the pattern.
    """
    rng = np.random.default_rng(seed)
    fixed = _draw(rng, 1, NUM_DEAD)
    parts = []
    for batch in events.batches():
        npho, seconds = batch.npho.numpy(), batch.time.numpy()
        hidden = fixed if pattern == "dead88" else _draw(rng, len(npho), int(HIDDEN_SHARE * NUM_SENSORS))
        hidden = np.broadcast_to(hidden, npho.shape) & (npho < INVALID_ABOVE)
        restored = {one.name: one.restore(npho, seconds, hidden).npho for one in restorers}
        parts.append(ScoredSensors.pick(hidden, npho, batch.true["light"], restored))
    return ScoredSensors.join(parts)


def _draw(rng: np.random.Generator, events: int, count: int) -> BoolArray:
    ranks = rng.random((events, NUM_SENSORS)).argsort(axis=1).argsort(axis=1)
    return ranks < count


def rows(sensors: ScoredSensors, prefix: str) -> Iterator[BenchmarkRow]:
    """Yield the figures of the inpainter beside those of the better conventional method."""
    names = [one.name for one in CONVENTIONAL]
    for face in FACE_NAMES:
        count = int(sensors.of_face(face).sum())
        if not count:
            continue
        best = min(sensors.light_error(name, face) for name in names)
        value = sensors.light_error("inpainter", face)
        yield BenchmarkRow(f"{prefix}light_error_68.{face}", value, "photons", None, best, count)
        best = min(sensors.bright_error_over_floor(name, face) for name in names)
        value = sensors.bright_error_over_floor("inpainter", face)
        if np.isfinite(value):
            yield BenchmarkRow(f"{prefix}bright_error_over_floor.{face}", value, "", None, best, count)
    for decade in DECADES:
        value = sensors.bias("inpainter", decade)
        best = min((sensors.bias(name, decade) for name in names), key=abs)
        yield BenchmarkRow(
            f"{prefix}npho_bias.{decade[0]:.0f}-{decade[1]:.0f}", 100 * value, "percent", None, 100 * best
        )


def measure(options: argparse.Namespace, folder: Path) -> Iterator[BenchmarkRow]:
    """Train, test, and yield the rows."""
    if options.data is None:
        simulate_samples(folder, options.events or BUDGETS[options.budget][1], options.seed)
    with ExitStack() as contexts:
        model = open_restorer(options.model, choose_device()) if options.model else trained(options, folder, contexts)
        yield from score(model, folder, options.seed)


def score(model: Restorer, folder: Path, seed: int) -> Iterator[BenchmarkRow]:
    """Yield the rows of a model on the events of the folder test."""
    test = str(folder / "test")
    events = RawEvents(DataConfig(train_path=test, val_path=test, batch_size=200), {"light": NPHO_EXPECTED})
    for pattern, prefix in (("random", ""), ("dead88", "dead88.")):
        begin = time.perf_counter()
        sensors = scored([model, *CONVENTIONAL], events, pattern, seed)
        seconds = time.perf_counter() - begin
        yield from rows(sensors, prefix)
        if pattern == "random":
            yield BenchmarkRow("scored_sensors_per_s", len(sensors.face) / seconds, "1/s", n=len(sensors.face))


def main(arguments: Sequence[str]) -> int:
    """Train, test and print one row per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", choices=list(BUDGETS), default="20min", help="time of training (default: 20min)")
    parser.add_argument("--minutes", type=float, help="another time than the budget's")
    parser.add_argument("--model", type=Path, metavar="CKPT", help="score this inpainter and train none")
    parser.add_argument("--events", type=int, help="events to train on, instead of the budget's number")
    parser.add_argument("--data", type=Path, help="folder with the samples; simulated anew without it")
    parser.add_argument("--cores", type=int, default=2, help="threads of the training (default: 2)")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: processor time over cores, for a busy machine"
    )
    parser.add_argument("--seed", type=int, default=1, help="of simulation and masks (default: 1)")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="inpainting_") as scratch:
        for row in measure(options, options.data or Path(scratch)):
            print(row.to_json() if options.json else row.to_text(), flush=True)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
