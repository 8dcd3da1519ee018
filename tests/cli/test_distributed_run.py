"""Trainings of several processes come to what one process comes to, and end together."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.cli.entry import EXIT_DONE, EXIT_REQUEUE, EXIT_USER_ERROR
from lib.training.saving.checkpoint import LAST_NAME, Checkpoint
from tests.cli.joined_run import Family, Steps, steps_of
from tests.cli.killed_run import KINDS, prepare

ROOT_FOLDER = Path(__file__).parents[2]
BATCH = ["--set", "data.batch_size=8", "--set", "checkpoint.save_steps=null"]
STEPS = 50
# Adam divides by the root of its moments, so rounding errors of sums grow with the steps.
TOLERANCE = 1e-6


def events_of(steps: Steps) -> list[str]:
    return [steps[step][0] for step in sorted(steps)]


def losses_of(steps: Steps) -> list[float]:
    return [steps[step][1] for step in sorted(steps)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_one_two_and_four_ranks_see_the_same_events_and_have_the_same_losses(tmp_path: Path, kind: str) -> None:
    # Two epochs of 25 steps of two batches of eight events.
    prepare(tmp_path, files=2, events=200)
    family = Family(kind, tmp_path)
    for ranks in (1, 2, 4):
        assert family.run(f"on{ranks}", ranks, BATCH) == EXIT_DONE
    alone = steps_of(tmp_path, "on1")
    assert len(alone) == STEPS
    for ranks in (2, 4):
        for number in range(ranks):
            steps = steps_of(tmp_path, f"on{ranks}", number)
            assert events_of(steps) == events_of(alone)
            assert losses_of(steps) == pytest.approx(losses_of(alone), rel=TOLERANCE, abs=0)


@pytest.mark.slow
def test_a_run_of_four_ranks_goes_on_with_any_other_number(tmp_path: Path) -> None:
    prepare(tmp_path, files=2, events=200)
    family = Family("mae", tmp_path)
    assert family.run("whole", 4, BATCH) == EXIT_DONE
    # In the middle of the first epoch.
    assert family.run("on4", 4, BATCH, stop_after=13) == EXIT_REQUEUE
    whole = steps_of(tmp_path, "whole")
    for ranks in (1, 2, 8):
        name = f"then{ranks}"
        shutil.copytree(tmp_path / "artifacts" / "on4", tmp_path / "artifacts" / name)
        arguments = [*BATCH, "--resume_from", f"artifacts/{name}/{LAST_NAME}"]
        assert family.run(name, ranks, arguments) == EXIT_DONE
        steps = steps_of(tmp_path, name)
        assert sorted(steps) == list(range(14, STEPS))
        assert events_of(steps) == events_of(whole)[14:]
        assert losses_of(steps) == pytest.approx(losses_of(whole)[14:], rel=TOLERANCE, abs=0)
        assert Checkpoint.load(tmp_path / "artifacts" / name / LAST_NAME).epochs_done == 2


@pytest.mark.slow
def test_a_mistake_of_the_user_is_told_once_and_ends_all_ranks(tmp_path: Path) -> None:
    prepare(tmp_path, files=1, events=24)
    command = [sys.executable, "-W", "ignore", "-m", "lib.launch", "--standalone", "--nproc_per_node=2"]
    command += [
        "-m",
        "lib.train_mae",
        "--config",
        "mae.yaml",
        "--set",
        "data.batch_size=1",
        "--set",
        "mlflow.run_name=run",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT_FOLDER), "MLFLOW_TRACKING_URI": "sqlite:///runs.db"}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == EXIT_USER_ERROR
    assert ended.stderr.count("error: data.batch_size: 1 events cannot be shared by 2 processes") == 1
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "artifacts").exists()
