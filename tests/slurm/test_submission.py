"""Submission, sweeps, time limits and preemption on a real SLURM."""

import json
from pathlib import Path

import pytest
import yaml

from lib.training.saving.checkpoint import Checkpoint
from tests.cli.killed_run import MODEL
from tests.slurm.conftest import Cluster

pytestmark = pytest.mark.slurm

SUBMIT = "scan_param/submit_regressor.sh"


@pytest.fixture(scope="session")
def data(tmp_path_factory, cluster):
    folder = tmp_path_factory.mktemp("data")
    for name, events, run in (("train", "256", "1"), ("val", "64", "2")):
        arguments = ["--output", str(folder / name), "--events", events, "--seed", run, "--run", run]
        cluster.call(cluster.environment["XEC_PYTHON"], "-m", "lib.simulate", *arguments)
    return folder


def write_config(folder: Path, data: Path) -> Path:
    """Write a small training that keeps its files in a folder."""
    content = yaml.safe_load(Path("configs/regressor/quickstart.yaml").read_text())
    content["model"] |= MODEL
    content["data"] |= {"train_path": str(data / "train"), "val_path": str(data / "val"), "batch_size": 16}
    content["training"] |= {"epochs": 2, "guard": {"enabled": False}, "health": {"enabled": False}}
    content["checkpoint"] = {"save_dir": str(folder / "runs"), "save_artifacts": False}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def config(tmp_path, data):
    return write_config(tmp_path, data)


def submit(cluster: Cluster, config: Path, name: str, **environment: str) -> str:
    store = f"sqlite:///{config.parent}/mlruns.db"
    return cluster.call(SUBMIT, CONFIG_PATH=str(config), RUN_NAME=name, MLFLOW_TRACKING_URI=store, **environment)


def last(config: Path, name: str) -> Checkpoint:
    return Checkpoint.load(config.parent / "runs" / name / "checkpoint_last.pth")


def logs(config: Path, name: str) -> str:
    return "".join(path.read_text() for path in sorted((config.parent / "runs" / name / "slurm").glob("*.log")))


def same_weights(first: Checkpoint, second: Checkpoint) -> bool:
    return all(first.model[name].equal(second.model[name]) for name in first.model) and len(first.model) == len(
        second.model
    )


def test_a_training_is_submitted_and_finishes(cluster, config):
    told = submit(cluster, config, "plain", EPOCHS="1", LR="1e-3", BATCH="32")
    assert "plain" in told
    cluster.wait_until_empty()
    checkpoint = last(config, "plain")
    assert checkpoint.epochs_done == 1
    assert checkpoint.config["training"]["lr"] == 1e-3
    assert checkpoint.config["data"]["batch_size"] == 32
    assert "finished" in logs(config, "plain")


def test_a_dry_run_shows_the_job_and_submits_nothing(cluster, config):
    told = submit(cluster, config, "dry", DRY_RUN="1")
    assert told.startswith("#!/bin/bash\n#SBATCH --job-name=dry\n")
    assert not cluster.jobs()
    assert not (config.parent / "runs").exists()


@pytest.mark.parametrize("name", ["../up", "$(touch canary)", "a b", "x;y", "n\n#SBATCH --uid=0"])
def test_hostile_run_names_are_refused(cluster, config, name):
    with pytest.raises(AssertionError, match="run name becomes a folder"):
        submit(cluster, config, name)
    assert not list(config.parent.rglob("canary"))
    assert not cluster.jobs()


def test_what_cannot_be_trained_is_not_submitted(cluster, config):
    config.write_text(config.read_text().replace("/train", "/nowhere"))
    with pytest.raises(AssertionError, match=r"not submitted:\n.*nowhere"):
        submit(cluster, config, "wrong")
    assert not cluster.jobs()


@pytest.fixture(scope="module")
def whole(cluster, data, tmp_path_factory):
    """Train once without interruption and return what came of it."""
    config = write_config(tmp_path_factory.mktemp("whole"), data)
    submit(cluster, config, "whole", EPOCHS="3")
    cluster.wait_until_empty()
    return last(config, "whole")


def begin(cluster: Cluster, config: Path, name: str, **environment: str) -> None:
    """Submit a training and wait for its first checkpoint."""
    submit(cluster, config, name, EPOCHS="3", **environment)
    path = config.parent / "runs" / name / "checkpoint_last.pth"
    cluster.wait(path.exists, 120, f"the first epoch: {logs(config, name)}")


def test_a_preempted_training_goes_on_and_ends_like_an_uninterrupted_one(cluster, config, whole):
    begin(cluster, config, "preempted")
    with cluster.held("preempted") as trainings:
        # A job of higher priority that wants the whole node.
        cpus = cluster.call("sinfo", "--noheader", "--format=%c").strip()
        cluster.call("sbatch", "--partition=high", f"--cpus-per-task={cpus}", "--output=/dev/null", "--wrap=sleep 1")
        cluster.wait_until_told(trainings)
    cluster.wait_until_empty()
    assert "resumed from" in logs(config, "preempted")
    assert same_weights(whole, last(config, "preempted"))


@pytest.mark.parametrize("gpus", ["0", "2"])
def test_a_training_beyond_its_time_limit_goes_on_and_ends_like_an_uninterrupted_one(cluster, config, whole, gpus):
    name = f"limited{gpus}"
    begin(cluster, config, name, NUM_GPUS=gpus)
    with cluster.held(name) as trainings:
        assert len(trainings) == max(int(gpus), 1)
        # The job asks for a signal two minutes before.
        cluster.limit_time(name, 2)
        cluster.wait_until_told(trainings)
        # The next start has time enough.
        cluster.limit_time(name, 60)
    cluster.wait_until_empty()
    assert "back into the queue" in logs(config, name)
    assert "resumed from" in logs(config, name)
    if gpus == "0":
        assert same_weights(whole, last(config, name))
    else:
        # Two processes add in another order, which bf16 lets grow: 1.7e-4 was seen.
        assert last(config, name).metrics["val/loss"] == pytest.approx(whole.metrics["val/loss"], rel=2e-3)


def test_a_training_that_loses_a_process_goes_on_from_its_checkpoint(cluster, config, whole):
    begin(cluster, config, "bereft", NUM_GPUS="2")
    with cluster.held("bereft") as trainings:
        trainings[1].kill()
    cluster.wait_until_empty()
    assert "ended by signal 9" in logs(config, "bereft")
    assert "resumed from" in logs(config, "bereft")
    assert last(config, "bereft").metrics["val/loss"] == pytest.approx(whole.metrics["val/loss"], rel=2e-3)


def test_simulated_runs_are_made_by_an_array_job(cluster, tmp_path):
    out = tmp_path / "sim"
    environment = {"OUTPUT": str(out), "RUNS": "2", "EVENTS": "20", "FIRST_RUN": "5"}
    cluster.call("scan_param/submit_simulation.sh", "--compression", "zstd", **environment)
    cluster.wait_until_empty()
    assert sorted(path.name for path in out.glob("*.root")) == ["events_000005_0000.root", "events_000006_0000.root"]


def test_a_sweep_runs_as_an_array_and_a_failed_point_is_retried(cluster, config, tmp_path):
    sweep = {
        "name": "six", "kind": "regressor", "base": str(config), "at_a_time": 2, "fixed": {"training.epochs": 1},
        "grid": {"training.lr": [1e-4, 1e-3, 2e-3], "data.batch_size": [16, 300]},
    }  # fmt: skip
    path = tmp_path / "six.yaml"
    path.write_text(yaml.safe_dump(sweep, sort_keys=False))
    environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlruns.db"}

    def scan(*options: str) -> str:
        return cluster.call(
            "scan_param/submit_scan.sh", str(path), "--save_dir", str(tmp_path), *options, **environment
        )

    assert "6 points" in scan()
    assert "job" not in scan()  # All are in the queue.
    cluster.wait_until_empty(600)
    states = [json.loads(file.read_text()) for file in sorted((tmp_path / "six" / "points").glob("*/state.json"))]
    # A batch of 300 is larger than the 256 events.
    assert [state["state"] for state in states] == ["finished", "failed"] * 3
    assert "3 points" in scan("--retry")
    cluster.wait_until_empty(600)
    again = [json.loads(file.read_text()) for file in sorted((tmp_path / "six" / "points").glob("*/state.json"))]
    assert [state["attempts"] for state in again] == [1, 2] * 3
