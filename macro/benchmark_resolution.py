"""Train a regressor for a given time and compare its resolutions with the conventional reconstruction and the bounds.

Example: python macro/benchmark_resolution.py --budget 20min --json

Simulates 15-60 MeV to train on and 52.83 MeV in the fiducial volume to test on, or takes what --data holds of it (the
folders train, val, fit, test, test_alive). The conventional reconstruction of the same events, fitted to fit, is the
reference of each row; val and fit together, the spectrum and the energy that matters, are what the regressor is
validated and its outputs are corrected with. The time counts from the first step to the last validation.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from lib.baselines.conventional import ConventionalReconstruction
from lib.cli.benchmark_command import add_timed_training, benchmark_parser, print_rows
from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.schemas import RegressorConfig
from lib.config import load_config
from lib.data.branches import EMISSION_ANGLE, ENERGY, NPHO, TIME, TIME_TRUTH, UVW
from lib.data.files.paths import resolve_paths
from lib.data.trees.branch_arrays import read_branches
from lib.evaluation.benchmark_row import BenchmarkRow, machine_context
from lib.evaluation.simulated_bounds import simulated_bounds
from lib.evaluation.statistics.bounds import quantity_bounds
from lib.evaluation.statistics.calibration import COVERED
from lib.evaluation.statistics.residuals import task_residuals
from lib.evaluation.statistics.resolution import ResolutionSummary, summarize
from lib.geometry.sensors import FloatArray
from lib.simulate import main as simulate
from lib.simulation.config import SimulationConfig

# What imports torch is imported where it is used: run_command sets up its threads before.
if TYPE_CHECKING:
    from lib.cli.timed_training import Clock, TimedTraining
    from lib.evaluation.statistics.calibration import CalibrationSummary

ROOT: Final = Path(__file__).parents[1]
SAMPLES: Final = {
    "val": ["--events", "5000", "--run", "2", "--set", "energy.kind=uniform"],
    "fit": ["--events", "10000", "--run", "3"],
    "test": ["--events", "10000", "--run", "4"],
    # The same events with every channel alive.
    "test_alive": ["--events", "10000", "--run", "4", "--set", "dead.number=0"],
}
TRUTH: Final = {"energy": ENERGY, "timing": TIME_TRUTH, "uvwFI": UVW, "angle": EMISSION_ANGLE}
# By quantity: name of its row, and whether the width of its core or its 68 % is quoted.
ROWS: Final = {
    "energy": ("energy_core_percent", "core"),
    "u": ("u_core_mm", "core"),
    "v": ("v_core_mm", "core"),
    "w": ("w_core_mm", "core"),
    "distance": ("distance_68_mm", "68"),
    "time": ("time_core_ps", "core"),
    "opening angle": ("opening_68_deg", "68"),
}
BIASES: Final = {
    "energy": "energy_bias_percent",
    "u": "u_bias_mm",
    "v": "v_bias_mm",
    "w": "w_bias_mm",
    "time": "time_bias_ps",
}


@dataclass(frozen=True)
class Budget:
    """What is trained in a given time.

    Attributes:
        seconds: Of training.
        config: Configuration, below the folder of the project.
        events: Events to train on.
    """

    seconds: float
    config: str
    events: int


BUDGETS: Final = {
    "20min": Budget(1200.0, "configs/regressor/budget_20min.yaml", 300_000),
    "3h": Budget(10_800.0, "configs/regressor/budget_20min.yaml", 1_500_000),
}
Resolutions = dict[str, ResolutionSummary]


@dataclass(frozen=True)
class Tested:
    """What a trained regressor does on some events.

    Attributes:
        resolutions: Of every quantity, by its name.
        calibrations: Of every component whose error is predicted.
    """

    resolutions: Resolutions
    calibrations: list["CalibrationSummary"]


def simulate_samples(folder: Path, events: int, seed: int) -> None:
    """Write the samples that a folder lacks."""
    train = ["--events", str(events), "--run", "1", "--set", "energy.kind=uniform"]
    for name, options in {"train": train, **SAMPLES}.items():
        simulate(["--output", str(folder / name), "--seed", str(seed), *options])


def read_sample(folder: Path) -> dict[str, FloatArray]:
    """Return sensors and truth of all files of a folder."""
    names = [NPHO, TIME, *TRUTH.values()]
    parts = [read_branches(path, names, "tree") for path in resolve_paths(str(folder))]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def resolutions(predicted: dict[str, FloatArray], true: dict[str, FloatArray]) -> Resolutions:
    """Return the resolutions of every quantity, by its name."""
    pairs = [(task, predicted[task], true[task]) for task in TRUTH if task in predicted]
    return {
        residuals.name: summarize(residuals)
        for task, found, wanted in pairs
        for residuals in task_residuals(task, found.reshape(len(found), -1), wanted.reshape(len(wanted), -1))
    }


def conventional(reconstruction: ConventionalReconstruction, sample: dict[str, FloatArray]) -> Resolutions:
    """Return the resolutions of the conventional reconstruction."""
    found = reconstruction.reconstruct(sample[NPHO], sample[TIME])
    predicted = {"energy": found["energy"], "timing": found["time"], "uvwFI": found["uvw"], "angle": found["angle"]}
    return resolutions(predicted, {task: sample[branch] for task, branch in TRUTH.items()})


def regressed(training: "TimedTraining[RegressorConfig]", folder: Path) -> Tested:
    """Test a trained regressor, with the correction of its last validation, on the events of a folder."""
    import torch  # noqa: PLC0415

    from lib.data.normalization import Normalization  # noqa: PLC0415
    from lib.data.stream import open_stream  # noqa: PLC0415
    from lib.evaluation.evaluation import RegressionEvaluation  # noqa: PLC0415
    from lib.export.physical_regressor import corrected, physical_outputs  # noqa: PLC0415
    from lib.models.regressor import Regressor  # noqa: PLC0415
    from lib.tasks.regression import RegressionTask  # noqa: PLC0415
    from lib.training.precision import autocast  # noqa: PLC0415

    config, model = training.config, training.trainer.model
    assert isinstance(model, Regressor)
    normalization = Normalization.from_config(config.normalization)
    task = RegressionTask(config.tasks, normalization, 0.0)
    data = config.data.model_copy(update={"val_path": str(folder), "batch_size": 250})
    stream = open_stream(data, normalization, task.truth_branches, split="validation", seed=0)
    device = next(model.parameters()).device
    evaluation = RegressionEvaluation([target.name for target in task.targets], with_profiles=False)
    wanted = physical_outputs(task.targets)
    names = [output.name for output in wanted]
    model.eval()
    with ExitStack() as contexts:
        if training.trainer.average is not None:
            contexts.enter_context(training.trainer.average.swapped())
        contexts.enter_context(torch.inference_mode())
        contexts.enter_context(autocast(config.training.precision, device))
        for batch in stream.epoch(0):
            real = batch.weight > 0
            said = model(batch.x.to(device), batch.valid.to(device))
            outputs = dict(zip(names, corrected(wanted, said, model.correction), strict=True))
            truth = {target.name: batch.truth[target.branch] for target in task.targets}
            predicted, true = (
                {name: values[real.to(values.device)].cpu().double().numpy() for name, values in columns.items()}
                for columns in (outputs, truth)
            )
            evaluation.add(predicted, true)
    tasks = evaluation.tasks.values()
    return Tested(
        {summary.name: summary for one in tasks for summary in one.summaries()},
        [summary for one in tasks for summary in one.calibration_summaries()],
    )


def bounds(seed: int) -> dict[str, float]:
    """Return the least possible width of the core of each quantity."""
    return quantity_bounds({row.name: row.value for row in simulated_bounds(SimulationConfig(), seed, 500, {})})


def _value(summary: ResolutionSummary, kind: str) -> tuple[float, float]:
    if kind == "68" or summary.core is None:
        return summary.quantile.value, summary.quantile.error
    return summary.core.sigma, summary.core.sigma_error


def rows(
    tested: Tested, reference: Resolutions, alive: Resolutions, limits: dict[str, float], context: dict[str, float]
) -> Iterator[BenchmarkRow]:
    """Yield resolutions against the conventional ones, what dead channels cost, biases, and how right errors are."""
    found = tested.resolutions
    for quantity, (name, kind) in ROWS.items():
        if quantity not in found:
            continue
        (value, error), summary = _value(found[quantity], kind), found[quantity]
        about = machine_context() | context | ({"bound": limits[quantity]} if quantity in limits else {})
        other = _value(reference[quantity], kind)[0]
        yield BenchmarkRow(name, value, summary.unit, error, other, summary.num_events, about)
        whole = _value(alive[quantity], kind)[0]
        yield BenchmarkRow(f"dead_channels.{name}", value, summary.unit, error, whole, summary.num_events, about)
    for quantity, name in BIASES.items():
        core = found[quantity].core if quantity in found else None
        if core is not None:
            yield BenchmarkRow(name, core.mean, found[quantity].unit, core.mean_error, n=found[quantity].num_events)
    for one in tested.calibrations:
        ratio, number = one.ratio, one.num_events
        yield BenchmarkRow(f"calibration.{one.name}", ratio.value, "1", ratio.error, 1.0, number)
        yield BenchmarkRow(f"coverage.{one.name}", one.coverage, "1", one.coverage_error, COVERED, number)


def measure(options: argparse.Namespace, folder: Path) -> Iterator[BenchmarkRow]:
    """Train, test, and yield the rows."""
    import torch  # noqa: PLC0415

    from lib.cli.timed_training import processor_clock, save_trained, train_within  # noqa: PLC0415

    budget = BUDGETS[options.budget]
    if options.data is None:
        simulate_samples(folder, options.events or budget.events, options.seed)
    assignments = [f"data.train_path={folder / 'train'}", f"data.val_path=[{folder / 'val'}, {folder / 'fit'}]"]
    assignments += ["data.cache=auto", f"data.cache_dir={folder / 'cache'}", f"training.seed={options.seed}"]
    config = load_config(RegressorConfig, ROOT / budget.config, [*assignments, *options.assignments])
    seconds = 60.0 * options.minutes if options.minutes else budget.seconds
    torch.set_num_threads(options.cores)
    clock: Clock = time.perf_counter if options.clock == "wall" else processor_clock(options.cores)
    training = train_within(config, seconds, clock)
    if options.save:
        save_trained(training, options.save)
    reconstruction = _fitted(folder)
    context = {
        "training_seconds": training.seconds,
        "epochs": float(training.config.training.epochs),
        "seed": float(options.seed),
    }
    yield from rows(
        regressed(training, folder / "test"),
        conventional(reconstruction, read_sample(folder / "test")),
        regressed(training, folder / "test_alive").resolutions,
        bounds(options.seed),
        context,
    )


def _fitted(folder: Path) -> ConventionalReconstruction:
    sample = read_sample(folder / "fit")
    return ConventionalReconstruction.fit(sample[NPHO], sample[TIME], sample)


def main(arguments: Sequence[str]) -> int:
    """Train, test and print one row per figure."""
    parser = benchmark_parser(__doc__)
    add_timed_training(parser)
    parser.add_argument("--budget", choices=list(BUDGETS), default="20min", help="time of training (default: 20min)")
    parser.add_argument("--save", type=Path, metavar="CHECKPOINT", help="keep the trained regressor as this file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="resolution_") as scratch:
        print_rows(measure(options, options.data or Path(scratch)), as_json=options.json)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
