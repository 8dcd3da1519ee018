"""What a run leaves behind."""

import errno
import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.errors import CheckpointError, ConfigError
from lib.training.config import CheckpointConfig
from lib.training.protocol import Unwatched
from lib.training.records.journal import Journal, Record
from lib.training.records.recorder import ModelIdentity, RunRecorder, claim_folder
from lib.training.records.run_identity import RunIdentity
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.stability.rollback import copied
from lib.training.trainer import Trainer
from tests.training.saving.test_checkpoint import assert_same
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

    def log_tags(self, tags: dict[str, str]) -> None:
        self.told.append(tags)

    def log_artifact(self, path: Path) -> None:
        self.told.append(path)

    def close(self, status: str) -> None:
        self.told.append(status)


@pytest.fixture(autouse=True)
def _no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.training.records.recorder.Tracker", SilentTracker)


def open_recorder(folder: Path, **cadence: Any) -> RunRecorder:
    folder.mkdir(parents=True, exist_ok=True)
    return RunRecorder(folder, MODEL, RUN, config=CheckpointConfig(**cadence))


def record(recorder: RunRecorder, trainer: Trainer[ToyBatch], *losses: float, last: bool = False) -> None:
    """Record epochs with the given validation losses without training."""
    for loss in losses:
        trainer.progress.epochs_done += 1
        recorder.record_epoch(trainer, {**METRICS, "val/loss": loss}, is_last=last)
        # Written in a thread.
        recorder._settle(trainer)


def epochs(folder: Path) -> dict[str, int]:
    names = [name for name in (BEST_NAME, LAST_NAME) if (folder / name).exists()]
    return {name: Checkpoint.load(folder / name).epochs_done for name in names}


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
    recorder.record_epoch(trainer, metrics, is_last=True)
    checkpoint = Checkpoint.load(tmp_path / LAST_NAME)
    assert (checkpoint.kind, checkpoint.config, checkpoint.about) == (MODEL.kind, MODEL.config, MODEL.about)
    assert (checkpoint.epochs_done, checkpoint.steps_done, checkpoint.run_key) == (1, 8, "run-key")
    assert checkpoint.metrics == {**metrics, "val/loss_best": metrics["val/loss"]}
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
    assert records == [replace(records[0], step=1, metrics={**METRICS, "val/loss": 0.5, "val/loss_best": 0.5})]
    assert "epoch 1: train loss 1, validation loss 0.5 (best), grad_norm_max 1, 100 events/s, 25 %" in caplog.text


def kept(folder: Path) -> list[int]:
    return sorted(int(path.stem.rsplit("_", 1)[1]) for path in folder.glob("checkpoint_step_*.pth"))


def save_at(recorder: RunRecorder, trainer: Trainer[ToyBatch], *steps: int) -> None:
    for step in steps:
        trainer.progress.steps_done = step
        assert recorder.save_last(trainer)


def test_earlier_positions_are_kept_at_a_distance_and_the_oldest_dropped(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path, keep_last=2, keep_spacing=10), toy_trainer()
    seen = []
    for step in (1, 5, 11, 12, 21, 40):
        save_at(recorder, trainer, step)
        seen.append(kept(tmp_path))
    assert seen == [[1], [1], [1, 11], [1, 11], [11, 21], [21, 40]]
    assert Checkpoint.load(tmp_path / "checkpoint_step_00000021.pth").steps_done == 21
    recorder.close("FINISHED")


def test_a_run_that_goes_on_from_an_earlier_position_leaves_those_after_it_behind(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path, keep_last=3, keep_spacing=10), toy_trainer()
    save_at(recorder, trainer, 10, 20, 30)
    save_at(recorder, trainer, 20)
    assert kept(tmp_path) == [10, 20]
    save_at(recorder, trainer, 25, 30)
    assert kept(tmp_path) == [10, 20, 30]
    recorder.close("FINISHED")


def test_no_earlier_position_is_kept_if_none_is_wanted(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path, keep_last=0), toy_trainer()
    save_at(recorder, trainer, 10, 1000)
    assert kept(tmp_path) == []
    recorder.close("FINISHED")


def test_without_links_earlier_positions_are_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    save_at(recorder, trainer, 10)
    assert Checkpoint.load(tmp_path / "checkpoint_step_00000010.pth").steps_done == 10
    recorder.close("FINISHED")


def test_an_earlier_position_is_dropped_only_when_the_new_one_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, trainer = open_recorder(tmp_path, keep_last=1, keep_spacing=1), toy_trainer()
    save_at(recorder, trainer, 10)

    def damaged(path: Path) -> None:
        raise CheckpointError(f"{path}: damaged")

    with monkeypatch.context() as patch:
        patch.setattr("lib.training.saving.sealed_file.verify_seal", damaged)
        trainer.progress.steps_done = 20
        assert not recorder.save_last(trainer)
    assert "not saved ([Errno 5] the disk does not return what was written" in caplog.text
    assert kept(tmp_path) == [10]
    assert Checkpoint.load(tmp_path / LAST_NAME).steps_done == 10
    save_at(recorder, trainer, 20)
    assert kept(tmp_path) == [20]
    recorder.close("FINISHED")


def test_steps_go_on_while_a_checkpoint_is_written_and_change_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, trainer = open_recorder(tmp_path, save_steps=4, save_minutes=None), toy_trainer()
    expected: dict[int, Any] = {}
    may_write, save = threading.Event(), Checkpoint.save

    def save_late(self: Checkpoint, path: Path) -> None:
        assert may_write.wait(60)
        save(self, path)

    monkeypatch.setattr(Checkpoint, "save", save_late)

    class Watch(Unwatched):
        def step_done(self) -> None:
            step = trainer.progress.steps_done
            if step == 4:
                expected[step] = copied(trainer.state())
                recorder.record_step(trainer)
            elif step == 7:
                # Three further steps were taken while it waited.
                may_write.set()
                recorder._settle(trainer)

    recorder._writer.is_due(1)
    trainer.run_epoch(Watch())
    written = Checkpoint.load(tmp_path / LAST_NAME)
    assert written.steps_done == 4
    for part in ("model", "average", "optimizer", "guard", "epoch_sums"):
        assert_same(getattr(written, part), expected[4][part])
    assert not torch.equal(written.model["0.weight"], trainer.model.state_dict()["0.weight"])
    recorder.close("FINISHED")


def test_the_next_checkpoint_waits_for_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    active: list[int] = []
    most: list[int] = []
    save = Checkpoint.save

    def counted(self: Checkpoint, path: Path) -> None:
        active.append(1)
        most.append(len(active))
        save(self, path)
        active.pop()

    monkeypatch.setattr(Checkpoint, "save", counted)
    for step in range(1, 6):
        trainer.progress.epochs_done = step
        recorder.record_epoch(trainer, {**METRICS, "val/loss": 1.0 / step}, is_last=False)
    recorder.close("FINISHED")
    assert most == [1] * 10
    assert epochs(tmp_path) == {BEST_NAME: 5, LAST_NAME: 5}
