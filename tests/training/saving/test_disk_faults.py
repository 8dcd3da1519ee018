"""A disk that is full, read-only or failing costs neither the run nor the last good file."""

import errno
import logging
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.training.config import CheckpointConfig
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.saving.checkpoint_writer import CheckpointWriter
from lib.training.saving.sealed_file import read_sealed, write_sealed
from tests.training.records.test_recorder import SilentTracker, epochs, open_recorder, record
from tests.training.toy import toy_trainer

ERRORS = [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT]


@pytest.fixture(autouse=True)
def _no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.training.records.recorder.Tracker", SilentTracker)


def failing(error: int) -> Callable[..., Any]:
    def fail(*arguments: object, **keywords: object) -> None:
        raise OSError(error, os.strerror(error))

    return fail


@contextmanager
def broken(point: str, error: int) -> Iterator[None]:
    """Let one call to the disk fail, wherever it is made."""
    with pytest.MonkeyPatch.context() as patch:
        if point == "fsync":
            patch.setattr(os, "fsync", failing(error))
        else:
            patch.setattr(Path, point, failing(error))
        yield


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Let every file end at a number of bytes, as on a disk that is full there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("point", ["open", "fsync", "replace"])
def test_the_run_goes_on_warns_once_and_saves_again_when_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, point: str, error: int
) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    record(recorder, trainer, 0.5)
    good = {name: (tmp_path / name).read_bytes() for name in (BEST_NAME, LAST_NAME)}
    caplog.clear()
    with broken(point, error):
        record(recorder, trainer, 0.25)
    warnings = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]
    assert len([warning for warning in warnings if "not saved" in warning]) == 1
    assert {name: (tmp_path / name).read_bytes() for name in good} == good
    assert trainer.progress.best == 0.5
    record(recorder, trainer, 0.3)
    # Better than the best one on disk, though not than the one that could not be saved.
    assert epochs(tmp_path) == {BEST_NAME: 3, LAST_NAME: 3}
    assert Checkpoint.load(tmp_path / LAST_NAME).best == 0.3
    recorder.close("FINISHED")
    assert [entry.step for entry in recorder._journal.read()] == [1, 2, 3]
    assert not list(tmp_path.glob(".*.partial*"))


@pytest.mark.parametrize("limit", [0, 1, 4096, 9000])
def test_a_file_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "a.pth"
    write_sealed(path, {"weights": torch.ones(100)})
    with full_disk(limit), pytest.raises(OSError, match="File too large"):
        write_sealed(path, {"weights": torch.zeros(10_000)})
    assert torch.equal(read_sealed(path)["weights"], torch.ones(100))  # type: ignore[arg-type]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pth"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_folder_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    record(recorder, trainer, 0.5)
    tmp_path.chmod(0o555)
    record(recorder, trainer, 0.25)
    tmp_path.chmod(0o755)
    assert "not saved" in caplog.text
    assert epochs(tmp_path) == {BEST_NAME: 1, LAST_NAME: 1}
    recorder.close("FINISHED")


def test_a_signal_on_a_full_disk_leaves_the_older_checkpoint(tmp_path: Path) -> None:
    recorder, trainer = open_recorder(tmp_path), toy_trainer()
    record(recorder, trainer, 0.5)
    with broken("fsync", errno.ENOSPC):
        assert not recorder.save_last(trainer)
    assert epochs(tmp_path)[LAST_NAME] == 1
    assert recorder.save_last(trainer)
    recorder.close("KILLED")


def test_what_a_killed_process_left_half_written_is_removed_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint_last.123.partial.pth").touch()
    (tmp_path / "other.pth").touch()
    open_recorder(tmp_path).close("FINISHED")
    assert not list(tmp_path.glob(".*.partial*"))
    assert (tmp_path / "other.pth").exists()


def test_checkpoints_inside_an_epoch_are_due_by_steps_or_by_minutes(tmp_path: Path) -> None:
    now = [0.0]

    def due(config: CheckpointConfig) -> list[bool]:
        writer = CheckpointWriter(tmp_path, config, clock=lambda: now[0])
        seen = []
        for step in range(1, 7):
            now[0] += 30.0
            seen.append(writer.is_due(step))
            if seen[-1]:
                writer.save(checkpoint(step), LAST_NAME)
                assert writer.finish()
        return seen

    def checkpoint(step: int) -> Checkpoint:
        trainer = toy_trainer()
        trainer.progress.steps_done = step
        state = {**vars(trainer.progress), **trainer.state()}
        return Checkpoint(kind="mae", config={}, about={}, run_key="k", metrics={}, **state)

    assert due(CheckpointConfig(save_minutes=None)) == [False] * 6
    assert due(CheckpointConfig(save_minutes=None, save_steps=2)) == [False, True, False, True, False, True]
    assert due(CheckpointConfig(save_minutes=1.0)) == [False, True, False, True, False, True]
    assert due(CheckpointConfig(save_minutes=1.0, save_steps=1)) == [True] * 6
