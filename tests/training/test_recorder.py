"""What a run leaves behind."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib.errors import ConfigError
from lib.training.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.config import CheckpointConfig
from lib.training.journal import Journal, Record
from lib.training.recorder import ModelIdentity, RunRecorder, claim_folder
from lib.training.run_identity import RunIdentity
from lib.training.trainer import Trainer
from tests.training.toy import ToyBatch, toy_trainer

MODEL = ModelIdentity("mae", {"training": {"lr": 1e-2}}, {"revision": "abc"})
RUN = RunIdentity("tests", "run", "run-key", {}, {})
METRICS = {
    "train/loss": 1.0, "val/loss": 1.0, "grad_norm_max": 1.0,
    "train/events_per_second": 100.0, "train/data_wait_share": 0.25,
}  # fmt: skip


class SilentTracker:
    """Takes the place of MLflow."""

    def __init__(self, identity: RunIdentity, journal_path: Path, earlier: Sequence[Record]) -> None:
        self.told: list[Any] = list(earlier)

    def log(self, record: Any) -> None:
        self.told.append(record)

    def log_artifact(self, path: Path) -> None:
        self.told.append(path)

    def close(self, status: str) -> None:
        self.told.append(status)


@pytest.fixture(autouse=True)
def _no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.training.recorder.Tracker", SilentTracker)


def open_recorder(folder: Path, **cadence: Any) -> RunRecorder:
    folder.mkdir(parents=True, exist_ok=True)
    return RunRecorder(folder, MODEL, RUN, config=CheckpointConfig(**cadence))


def record(recorder: RunRecorder, trainer: Trainer[ToyBatch], *losses: float, last: bool = False) -> None:
    """Record epochs with the given validation losses without training."""
    for loss in losses:
        trainer.progress.epochs_done += 1
        recorder.record_epoch(trainer, {**METRICS, "val/loss": loss}, is_last=last)


def epochs(folder: Path) -> dict[str, int]:
    return {path.name: Checkpoint.load(path).epochs_done for path in sorted(folder.glob("*.pth"))}


def test_a_new_run_gets_its_folder(tmp_path: Path) -> None:
    folder = claim_folder(CheckpointConfig(save_dir=tmp_path / "deep"), "run", None)
    assert folder == tmp_path / "deep" / "run"
    assert folder.is_dir()


def test_a_folder_that_holds_a_run_is_refused_to_others_and_open_to_its_own(tmp_path: Path) -> None:
    config = CheckpointConfig(save_dir=tmp_path)
    own, other = tmp_path / "run" / LAST_NAME, tmp_path / "other" / LAST_NAME
    for path in (own, other):
        path.parent.mkdir()
        path.touch()
    for resumed in (None, other):
        with pytest.raises(ConfigError, match=r"run: already holds a run\. Choose another mlflow\.run_name"):
            claim_folder(config, "run", resumed)
    assert claim_folder(config, "run", own) == own.parent
    assert claim_folder(config, "run", tmp_path / "other" / ".." / "run" / BEST_NAME) == own.parent


def test_a_run_may_go_on_in_a_new_folder(tmp_path: Path) -> None:
    assert claim_folder(CheckpointConfig(save_dir=tmp_path), "new", tmp_path / "old" / LAST_NAME).is_dir()


def test_a_folder_that_cannot_be_made_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be created \(.*\)\. Set checkpoint\.save_dir"):
        claim_folder(CheckpointConfig(save_dir=tmp_path / "file"), "run", None)


def test_two_runs_never_write_to_one_folder(tmp_path: Path) -> None:
    first = open_recorder(tmp_path)
    with pytest.raises(ConfigError, match="another process is writing a run there"):
        open_recorder(tmp_path)
    first.close("FINISHED")
    open_recorder(tmp_path).close("FINISHED")


def test_the_last_checkpoint_follows_every_epoch_and_the_best_the_lowest_loss(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    record(recorder, trainer, 0.5, 0.25, 0.75)
    assert epochs(tmp_path) == {BEST_NAME: 2, LAST_NAME: 3}
    assert Checkpoint.load(tmp_path / LAST_NAME).best == 0.25
    recorder.close("FINISHED")


def test_epochs_between_intervals_are_saved_only_if_they_improve_or_end_the_run(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path, save_interval=3), toy_trainer()
    seen = []
    for loss in (0.5, 0.9, 0.9, 0.9):
        record(recorder, trainer, loss)
        seen.append(epochs(tmp_path)[LAST_NAME])
    assert seen == [1, 1, 3, 3]
    record(recorder, trainer, 0.9, last=True)
    assert epochs(tmp_path)[LAST_NAME] == 5
    recorder.close("FINISHED")


def test_a_loss_that_is_not_finite_is_never_the_best(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    record(recorder, trainer, math.nan)
    assert list(epochs(tmp_path)) == [LAST_NAME]
    record(recorder, trainer, 0.5, math.nan)
    assert epochs(tmp_path) == {BEST_NAME: 2, LAST_NAME: 3}
    recorder.close("FINISHED")


def test_a_run_that_goes_on_in_another_folder_finds_its_own_best(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    trainer.progress.best = 0.1
    record(recorder, trainer, 0.5, 0.75)
    assert epochs(tmp_path) == {BEST_NAME: 1, LAST_NAME: 2}
    recorder.close("FINISHED")


def test_a_kill_between_the_two_checkpoints_leaves_no_best_behind_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    record(recorder, trainer, 0.5)
    save = Checkpoint.save

    def save_and_die(self: Checkpoint, path: Path) -> None:
        save(self, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        record(recorder, trainer, 0.25)
    # The epoch is repeated on resume, and improves on the best that the last checkpoint knows.
    assert epochs(tmp_path) == {BEST_NAME: 2, LAST_NAME: 1}
    assert Checkpoint.load(tmp_path / LAST_NAME).best == 0.5
    recorder.close("KILLED")


def test_a_checkpoint_says_what_it_is_and_where_it_stands(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    metrics = trainer.run_epoch()
    recorder.record_epoch(trainer, metrics, is_last=False)
    checkpoint = Checkpoint.load(tmp_path / LAST_NAME)
    assert (checkpoint.kind, checkpoint.config, checkpoint.about) == (MODEL.kind, MODEL.config, MODEL.about)
    assert (checkpoint.epochs_done, checkpoint.steps_done, checkpoint.run_key) == (1, 8, "run-key")
    assert checkpoint.metrics == metrics
    recorder.close("FINISHED")


def test_journal_and_tracker_are_told_the_same_and_the_log_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    with caplog.at_level(logging.INFO):
        record(recorder, trainer, 0.5)
    recorder.record_artifact(tmp_path / "a.pdf")
    recorder.close("FINISHED")
    records = Journal(tmp_path).read()
    assert recorder._tracker.told == [*records, tmp_path / "a.pdf", "FINISHED"]  # type: ignore[attr-defined]
    assert records == [replace(records[0], step=1, metrics={**METRICS, "val/loss": 0.5})]
    assert "epoch 1: train loss 1, validation loss 0.5 (best), grad_norm_max 1, 100 events/s, 25 %" in caplog.text
