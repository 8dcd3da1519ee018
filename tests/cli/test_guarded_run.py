"""The guard of a real, tiny regressor on real files: healthy events pass, an event beyond all others is found."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from lib.cli.entry import EXIT_DONE, EXIT_SKIP_CAP, EXIT_UNHEALTHY, run_command
from lib.train_regressor import main
from lib.training.records.journal import Journal
from tests.cli.killed_run import KINDS, TRAINING
from tests.data.root_files import make_events, write_root

# Importing MLflow and what it brings warns of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")

BAD_ENTRY = 150


def train(folder: Path, name: str, *assignments: str) -> int:
    options = [f"mlflow.run_name={name}", "checkpoint.save_artifacts=false", *assignments]
    return run_command(main, ["--config", str(folder / "a.yaml"), *(part for o in options for part in ("--set", o))])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # No store: only its import would cost seconds here.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/runs.db")
    guard = {"window": 64, "active_after": 24}
    config = {
        "kind": "regressor",
        "data": {"train_path": "train.root", "val_path": "val.root", "batch_size": 4, "chunksize": 64},
        **KINDS["regressor"],
        "training": {**TRAINING, "grad_accum_steps": 1, "lr": 1e-4, "guard": guard},
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(config))
    write_root(tmp_path / "val.root", make_events(4, first_event=90_000))
    return tmp_path


def test_no_healthy_step_is_skipped(folder: Path) -> None:
    write_root(folder / "train.root", make_events(240))
    assert train(folder, "clean") == EXIT_DONE
    records = Journal(folder / "artifacts" / "clean").read()
    assert [record.metrics["skipped_steps"] for record in records] == [0.0, 0.0]
    assert not (folder / "artifacts" / "clean" / "skipped_steps").exists()
    for record in records:
        metrics = record.metrics
        assert 0 < metrics["grad_norm_p50"] <= metrics["grad_norm_p99"] <= metrics["grad_norm_max"]


def test_an_event_with_absurd_truth_is_skipped_and_named(folder: Path) -> None:
    events = make_events(240)
    events["energyTruth"] = np.array(events["energyTruth"])
    events["energyTruth"][BAD_ENTRY] *= 1e6
    write_root(folder / "train.root", events)
    # The loss must follow the truth for its gradient to be a spike.
    absurd = ["tasks.energy.loss_fn=mse", "training.epochs=3"]
    assert train(folder, "spiked", *absurd) == EXIT_DONE
    reports = sorted((folder / "artifacts" / "spiked" / "skipped_steps").iterdir())
    named = [json.loads(path.read_text()) for path in reports]
    # The first epoch may meet it before the guard knows what is usual.
    assert len(named) >= 2
    for report in named:
        assert report["reason"] == "gradient far above the usual"
        assert int(events["event"][BAD_ENTRY]) in report["batches"][0]["event"]
        assert report["module_norms"]


def test_a_training_that_explodes_ends_with_code_3(folder: Path) -> None:
    write_root(folder / "train.root", make_events(240))
    exploding = ["training.lr=1e30", "training.warmup_epochs=0", "training.ema_decay=0"]
    assert train(folder, "exploded", *exploding) == EXIT_SKIP_CAP


def test_a_network_that_cannot_learn_is_told_of_and_stops_on_request_with_code_5(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_root(folder / "train.root", make_events(24))
    # So slow that nothing is learnt.
    still = ["training.lr=1e-12", "training.lr_min=0", "training.health.after_epochs=1"]
    assert train(folder, "still", *still, "training.health.stop=true") == EXIT_UNHEALTHY
    assert "times that of a constant prediction" in caplog.text
    (record,) = Journal(folder / "artifacts" / "still").read()
    assert record.metrics["val/loss_over_constant"] > 1.0
    assert record.metrics["val/effective_rank"] >= 1.0
    assert 0.0 <= record.metrics["val/dead_units"] <= 1.0
    assert (folder / "artifacts" / "still" / "checkpoint_last.pth").exists()
