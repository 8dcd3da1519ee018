"""A signal to a whole job, as a terminal or SLURM sends it, with processes that read ahead."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lib.cli.entry import EXIT_REQUEUE
from lib.training.saving.checkpoint import LAST_NAME, Checkpoint
from tests.cli.killed_run import prepare

ROOT_FOLDER = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_of_a_job_saves_and_exits_with_75(tmp_path: Path, number: int) -> None:
    prepare(tmp_path, files=5, events=24)
    config = yaml.safe_load((tmp_path / "regressor.yaml").read_text())
    config["data"]["num_workers"] = 1
    config["training"]["epochs"] = 2000
    config["checkpoint"]["save_steps"] = None
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-W", "ignore", "-m", "lib.train_regressor", "--config", "a.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT_FOLDER), "MLFLOW_TRACKING_URI": "sqlite:////proc/no/runs.db"}
    process = subprocess.Popen(
        [*command, "--set", "mlflow.run_name=job"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    journal = tmp_path / "artifacts" / "job" / "metrics.jsonl"
    while process.poll() is None and not journal.exists():
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == EXIT_REQUEUE, error
    assert "Traceback" not in error
    assert Checkpoint.load(tmp_path / "artifacts" / "job" / LAST_NAME).epochs_done >= 1
