"""Trainings of several processes under torchrun come to what one process comes to, and end together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR
from lib.training.checkpoint import LAST_NAME, Checkpoint
from tests.cli.killed_run import prepare

ROOT_FOLDER = Path(__file__).parents[2]
PATIENCE = 240


def start(folder: Path, ranks: int, name: str, *settings: str) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"] if ranks > 1 else []
    command = [sys.executable, "-W", "ignore", *launcher, "-m", "lib.train_mae", "--config", "mae.yaml"]
    for setting in ("data.batch_size=4", f"mlflow.run_name={name}", *settings):
        command += ["--set", setting]
    environment = {**os.environ, "PYTHONPATH": str(ROOT_FOLDER), "MLFLOW_TRACKING_URI": "sqlite:///runs.db"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def losses(folder: Path, name: str) -> list[float]:
    lines = (folder / "artifacts" / name / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [row.get("metrics", row)[key] for row in found for key in ("train/loss", "val/loss")]


@pytest.mark.slow
def test_one_two_and_four_ranks_learn_the_same_and_go_on_from_each_other(tmp_path: Path) -> None:
    prepare(tmp_path, files=2, events=24)
    for ranks in (1, 2, 4):
        ended = start(tmp_path, ranks, f"on{ranks}")
        assert ended.returncode == EXIT_DONE, ended.stderr
    # One that changes its number of ranks after the first epoch.
    folder = tmp_path / "artifacts" / "mixed"
    assert start(tmp_path, 2, "mixed", "training.epochs=1", "training.lr_scheduler=none").returncode == EXIT_DONE
    assert start(tmp_path, 1, "mixed", "training.lr_scheduler=none").returncode == EXIT_DONE
    assert start(tmp_path, 4, "plain", "training.lr_scheduler=none").returncode == EXIT_DONE
    assert Checkpoint.load(folder / LAST_NAME).epochs_done == 2
    # Sums of float32 in another order.
    for name in ("on2", "on4"):
        assert losses(tmp_path, name) == pytest.approx(losses(tmp_path, "on1"), rel=1e-5)
    assert losses(tmp_path, "mixed") == pytest.approx(losses(tmp_path, "plain"), rel=1e-5)


@pytest.mark.slow
def test_a_mistake_of_the_user_is_told_once_and_ends_all_ranks(tmp_path: Path) -> None:
    prepare(tmp_path, files=1, events=24)
    ended = start(tmp_path, 2, "wrong", "data.batch_size=1")
    assert ended.returncode != EXIT_DONE
    assert ended.stderr.count("error: data.batch_size: 1 events cannot be shared by 2 processes") == 1
    assert f"exitcode  : {EXIT_USER_ERROR}" in ended.stderr
    assert not (tmp_path / "artifacts" / "wrong").exists()
