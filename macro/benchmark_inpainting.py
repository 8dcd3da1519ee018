"""Train an inpainter for a given time and compare it with the conventional methods on the same dead channels.

Example: python macro/benchmark_inpainting.py --budget 20min --json

Simulates 15-60 MeV to train on and 52.83 MeV with the expected light to test on, or takes what --data holds of it (the
folders train, val, test). Scores 5 % of the sensors hidden at random and, as dead88, one pattern of 88 dead channels.
The reference of each row is the better of the conventional methods. --model scores a checkpoint instead of training.
With --regressor, what 88 and 400 dead channels and 20 clusters of 3 x 3 cost its resolutions, restored and not; the
reference is the resolution with all channels.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from lib.cli.benchmark_command import add_timed_training, benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import InpainterConfig
from lib.cli.timed_training import Clock, processor_clock, save_trained, train_within
from lib.config import load_config
from lib.data.branches import ENERGY, INVALID_ABOVE, NPHO_EXPECTED, TIME_TRUTH, UVW
from lib.data.config import DataConfig, NormalizationConfig
from lib.data.normalization import Normalization
from lib.evaluation.benchmark_row import BenchmarkRow
from lib.evaluation.predictors import open_predictor
from lib.evaluation.raw_events import RawEvents
from lib.evaluation.restoration.dead_patterns import draw_clusters, draw_sensors
from lib.evaluation.restoration.restoration_scores import DECADES, ScoredSensors
from lib.evaluation.restoration.restored_resolution import EXPECTED, LIGHT, NOT_RESTORED, WHOLE, costs_of_dead
from lib.evaluation.restoration.restorer import ConventionalRestorer, Restorer, open_restorer
from lib.evaluation.restoration.stream_rate import rows_per_second
from lib.evaluation.statistics.resolution import ResolutionSummary
from lib.geometry.sensors import FACE_NAMES, NUM_SENSORS
from lib.simulate import main as simulate
from lib.training.machine.device import choose_device

ROOT: Final = Path(__file__).parents[1]
CONFIG: Final = "configs/inpainter/budget_20min.yaml"
BUDGETS: Final = {"20min": (1200.0, 128_000), "3h": (10_800.0, 500_000)}
CONVENTIONAL: Final = (
    ConventionalRestorer("neighbours"),
    ConventionalRestorer("solid_angle"),
    ConventionalRestorer("light_fit"),
)
VARIANTS: Final = {CONVENTIONAL[0].name: ".neighbours", NOT_RESTORED: ".raw", EXPECTED: ".expected"}
HIDDEN_SHARE: Final = 0.05
NUM_DEAD: Final = 88
MANY_DEAD: Final = 400
NUM_CLUSTERS: Final = 20
STREAMED_ROWS: Final = 1_000_000


def simulate_samples(folder: Path, events: int, seed: int) -> None:
    """Write the samples that a folder lacks."""
    samples = {
        "train": ["--events", str(events), "--run", "1", "--set", "energy.kind=uniform", "--events-per-file", "8000"],
        "val": ["--events", "1000", "--run", "2", "--set", "energy.kind=uniform"],
        "test": ["--events", "2000", "--run", "4", "--set", "dead.number=0"],
    }
    for name, options in samples.items():
        common = ["--output", str(folder / name), "--seed", str(seed), "--set", "output.expected_light=true"]
        simulate([*common, *options])


def train(options: argparse.Namespace, folder: Path, output: Path) -> None:
    """Write the checkpoint of an inpainter trained as long as the budget allows."""
    seconds, _ = BUDGETS[options.budget]
    assignments = [f"data.train_path={folder / 'train'}", f"data.val_path={folder / 'val'}"]
    config = load_config(InpainterConfig, ROOT / CONFIG, [*assignments, *options.assignments])
    torch.set_num_threads(options.cores)
    training = train_within(config, 60.0 * options.minutes if options.minutes else seconds, _clock(options))
    save_trained(training, output)


def _clock(options: argparse.Namespace) -> Clock:
    return time.perf_counter if options.clock == "wall" else processor_clock(options.cores)


def scored(restorers: Sequence[Restorer], events: RawEvents, pattern: str, seed: int) -> ScoredSensors:
    """Return what each restorer says of the sensors that a pattern hides.

    Args:
        restorers: Methods and model.
        events: With the expected light.
        pattern: random, for 5 % of the sensors of each event; dead88, for the same 88 in all events.
        seed: Of the pattern.
    """
    rng = np.random.default_rng(seed)
    fixed = draw_sensors(rng, 1, NUM_DEAD)
    parts = []
    for batch in events.batches():
        npho, seconds = batch.npho.numpy(), batch.time.numpy()
        hidden = fixed if pattern == "dead88" else draw_sensors(rng, len(npho), int(HIDDEN_SHARE * NUM_SENSORS))
        hidden = np.broadcast_to(hidden, npho.shape) & (npho < INVALID_ABOVE)
        restored = {one.name: one.restore(npho, seconds, hidden).npho for one in restorers}
        parts.append(ScoredSensors.pick(hidden, npho, batch.true[LIGHT], restored))
    return ScoredSensors.join(parts)


def rows(sensors: ScoredSensors, model: str, prefix: str) -> Iterator[BenchmarkRow]:
    """Yield the figures of a model beside those of the better conventional method."""
    names = [one.name for one in CONVENTIONAL]
    for face in FACE_NAMES:
        count = int(sensors.of_face(face).sum())
        if not count:
            continue
        best = min(sensors.light_error(name, face) for name in names)
        value = sensors.light_error(model, face)
        yield BenchmarkRow(f"{prefix}light_error_68.{face}", value, "photons", None, best, count)
        best = min(sensors.bright_error_over_floor(name, face) for name in names)
        value = sensors.bright_error_over_floor(model, face)
        if np.isfinite(value):
            yield BenchmarkRow(f"{prefix}bright_error_over_floor.{face}", value, "", None, best, count)
    for decade in DECADES:
        value = sensors.bias(model, decade)
        best = min((sensors.bias(name, decade) for name in names), key=abs)
        yield BenchmarkRow(
            f"{prefix}npho_bias.{decade[0]:.0f}-{decade[1]:.0f}", 100 * value, "percent", None, 100 * best
        )


def measure(options: argparse.Namespace, folder: Path, scratch: Path) -> Iterator[BenchmarkRow]:
    """Train, test, and yield the rows."""
    if options.data is None:
        simulate_samples(folder, options.events or BUDGETS[options.budget][1], options.seed)
    checkpoint = options.model or options.save or scratch / "inpainter.pth"
    if options.model is None:
        train(options, folder, checkpoint)
    model = open_restorer(checkpoint, choose_device())
    yield from score(model, folder, options.seed)
    rate = rows_per_second(scratch, Normalization.from_config(NormalizationConfig()), STREAMED_ROWS, _clock(options))
    yield BenchmarkRow("rows_per_s", rate, "1/s", None, 300_000.0, STREAMED_ROWS)
    if options.regressor is not None:
        yield from with_dead_channels(options.regressor, model, folder, options.seed)


def score(model: Restorer, folder: Path, seed: int) -> Iterator[BenchmarkRow]:
    """Yield the rows of a model on the events of the folder test."""
    events = RawEvents(_test_config(folder), {LIGHT: NPHO_EXPECTED})
    for pattern, prefix in (("random", ""), ("dead88", "dead88.")):
        yield from rows(scored([model, *CONVENTIONAL], events, pattern, seed), model.name, prefix)


def _test_config(folder: Path) -> DataConfig:
    test = str(folder / "test")
    return DataConfig(train_path=test, val_path=test, batch_size=200)


def with_dead_channels(regressor: Path, model: Restorer, folder: Path, seed: int) -> Iterator[BenchmarkRow]:
    """Yield the resolutions of a regressor with dead channels: restored by the model, the mean, not at all, exactly."""
    predictor = open_predictor(regressor, choose_device())
    events = RawEvents(
        _test_config(folder), {"energy": ENERGY, "timing": TIME_TRUTH, "uvwFI": UVW, LIGHT: NPHO_EXPECTED}
    )
    rng = np.random.default_rng(seed)
    patterns = {
        "88_dead": draw_sensors(rng, 1, NUM_DEAD)[0],
        "400_dead": draw_sensors(rng, 1, MANY_DEAD)[0],
        "clusters": draw_clusters(rng, NUM_CLUSTERS),
    }
    for pattern, dead in patterns.items():
        found = costs_of_dead(predictor, events, dead, [model, CONVENTIONAL[0]])
        for variant, suffix in ((model.name, ""), *VARIANTS.items()):
            for summary, whole in zip(found.resolutions[variant], found.resolutions[WHOLE], strict=True):
                name = f"{summary.name}_with_{pattern}{suffix}"
                (value, error), (reference, _) = _width(summary), _width(whole)
                yield BenchmarkRow(name, value, summary.unit, error, reference, summary.num_events)
            for name, moved in found.movements[variant].items():
                yield BenchmarkRow(f"{name}_moved_by_{pattern}{suffix}", moved, "of its 68 %")


def _width(summary: ResolutionSummary) -> tuple[float, float]:
    """Return the width of the core, or the 68 % of what has none, with its error."""
    if summary.core is None:
        return summary.quantile.value, summary.quantile.error
    return summary.core.sigma, summary.core.sigma_error


def main(arguments: Sequence[str]) -> int:
    """Train, test and print one row per figure."""
    parser = benchmark_parser(__doc__)
    add_timed_training(parser)
    parser.add_argument("--budget", choices=list(BUDGETS), default="20min", help="time of training (default: 20min)")
    parser.add_argument("--model", type=Path, metavar="CKPT", help="score this inpainter and train none")
    parser.add_argument("--save", type=Path, metavar="CKPT", help="keep the trained inpainter")
    parser.add_argument("--regressor", type=Path, metavar="CKPT", help="regressor to look at with dead channels")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="inpainting_") as scratch:
        print_rows(measure(options, options.data or Path(scratch), Path(scratch)), as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
