"""The whole chain on the built-in simulation: events, three trainings, export, inference, comparison.

Each step is a command that a user would type; it is shown before it runs. A demo that was stopped goes on where it was.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uproot

from lib.baselines.conventional import ConventionalReconstruction
from lib.cli.entry import EXIT_DONE, run_command
from lib.data import branches
from lib.data.files.paths import resolve_paths
from lib.evaluation.comparison import Quantities, format_comparison, summarize_tasks
from lib.geometry.sensors import FloatArray
from lib.training.records.journal import Journal
from lib.training.saving.checkpoint import BEST_NAME

DATA = Path("data/quick")
ARTIFACTS = Path("artifacts")
NUM_EVENTS = {"train": 6000, "val": 1000, "test": 2000}
RUNS = {"mae": "demo_mae", "regressor": "demo_regressor", "inpainter": "demo_inpainter"}
TRUTH = {
    "angle": branches.EMISSION_ANGLE,
    "energy": branches.ENERGY,
    "timing": branches.TIME_TRUTH,
    "uvwFI": branches.UVW,
}


def main(arguments: Sequence[str]) -> int:
    """Run each step and end with a table."""
    if arguments:
        print("usage: python macro/demo.py")
        return 2
    start = time.monotonic()
    for command in commands():
        print(f"\n$ {shlex.join(command)}", flush=True)
        code = subprocess.run([sys.executable, *command[1:]], check=False).returncode
        if code != EXIT_DONE:
            print(f"the demo stops here: the command above ended with exit code {code}")
            return code
    print(summary(time.monotonic() - start))
    return EXIT_DONE


def commands() -> list[list[str]]:
    """Return every step as a command line."""
    return [*_simulations(), *_trainings(), *_deployment()]


def _simulations() -> list[list[str]]:
    return [
        [
            "python", "-m", "lib.simulate", "--output", str(DATA / split), "--events", str(number),
            "--seed", str(run), "--run", str(run), "--events-per-file", "2000", "--set", "energy.kind=uniform",
        ]
        for run, (split, number) in enumerate(NUM_EVENTS.items(), start=1)
    ]  # fmt: skip


def _trainings() -> list[list[str]]:
    steps: list[list[str]] = []
    for kind, run_name in RUNS.items():
        config = ["--config", f"configs/{kind}/quickstart.yaml", "--set", f"mlflow.run_name={run_name}"]
        start = [] if kind == "mae" else ["--init_from", str(ARTIFACTS / RUNS["mae"] / BEST_NAME)]
        if (ARTIFACTS / run_name / BEST_NAME).exists():
            start = ["--resume_from", "auto"]
        steps.append(["python", "-m", "lib.check", *config, *start])
        steps.append(["python", "-m", f"lib.train_{kind}", *config, *start])
    return steps


def _deployment() -> list[list[str]]:
    checkpoint = str(ARTIFACTS / RUNS["regressor"] / BEST_NAME)
    return [
        ["python", "macro/export_onnx.py", checkpoint, "--output", str(_model()), "--register"],
        ["python", "-m", "lib.infer", "--model", str(_model()), "--input", str(DATA / "test"), "--output",
         str(_predictions()), "--compare_truth"],
    ]  # fmt: skip


def _model() -> Path:
    return ARTIFACTS / RUNS["regressor"] / f"{RUNS['regressor']}.onnx"


def _predictions() -> Path:
    return ARTIFACTS / RUNS["regressor"] / "predictions_test.root"


def summary(seconds: float) -> str:
    """Return the table that the demo ends with."""
    return "\n".join(
        [
            "",
            f"Everything took {seconds / 60:.1f} minutes.",
            "",
            *_losses(),
            "",
            f"{NUM_EVENTS['test']} held-out events of 15-60 MeV; everything learnt from {NUM_EVENTS['train']} events:",
            "",
            _resolutions(),
            f"runs, checkpoints and figures: {ARTIFACTS}/",
            f"predictions of the test files: {_predictions()}",
            f"model for C++:                 {_model()}",
            f"metrics:                       mlflow ui --backend-store-uri sqlite:///{Path.cwd()}/mlruns.db",
        ]
    )


def _losses() -> list[str]:
    lines = [f"{'run':18s}{'epochs':>8s}{'first val loss':>16s}{'best val loss':>16s}{'events/s':>10s}"]
    for run_name in RUNS.values():
        records = Journal(ARTIFACTS / run_name).read()
        losses = [record.metrics["val/loss"] for record in records]
        rate = np.median([record.metrics["train/events_per_second"] for record in records])
        lines.append(f"{run_name:18s}{records[-1].step:8d}{losses[0]:16.4g}{min(losses):16.4g}{rate:10.0f}")
    return lines


def _resolutions() -> str:
    """Return regressor, conventional reconstruction and constant predictor on the test files, as a table."""
    train, test = _read(DATA / "train"), _read(DATA / "test")
    true = _truth(test)
    sensors = (branches.NPHO, branches.TIME)
    fitted = ConventionalReconstruction.fit(
        *(train[name] for name in sensors), {name: train[name] for name in TRUTH.values()}
    )
    conventional = fitted.reconstruct(*(test[name] for name in sensors))
    constant = {
        task: np.broadcast_to(np.median(values, axis=0), true[task].shape) for task, values in _truth(train).items()
    }
    return format_comparison(
        {
            "regressor": summarize_tasks(_predicted(), true),
            "conventional": summarize_tasks(_as_tasks(conventional), true),
            "constant predictor": summarize_tasks(constant, true),
        }
    )


def _read(folder: Path) -> dict[str, FloatArray]:
    names = [branches.NPHO, branches.TIME, *TRUTH.values()]
    arrays = [uproot.open(path)[branches.TREE_NAME].arrays(names, library="np") for path in resolve_paths(str(folder))]
    return {name: np.concatenate([part[name] for part in arrays]) for name in names}


def _truth(events: dict[str, FloatArray]) -> Quantities:
    return {task: events[branch].reshape(len(events[branch]), -1) for task, branch in TRUTH.items()}


def _predicted() -> Quantities:
    """Return the predictions of the exported model; they are in the order of the files, as the truth is."""
    tree = uproot.open(_predictions())[branches.TREE_NAME]
    arrays = tree.arrays([f"pred_{task}" for task in TRUTH], library="np")
    return {task: arrays[f"pred_{task}"].reshape(tree.num_entries, -1) for task in TRUTH}


def _as_tasks(reconstructed: dict[str, FloatArray]) -> Quantities:
    keys = {"angle": "angle", "energy": "energy", "timing": "time", "uvwFI": "uvw"}
    return {task: reconstructed[key].reshape(len(reconstructed[key]), -1) for task, key in keys.items()}


if __name__ == "__main__":
    sys.exit(run_command(main))
