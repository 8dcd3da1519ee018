"""Several starts of one run at the same time."""

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from lib.cli.entry import EXIT_REQUEUE, EXIT_USER_ERROR, run_command
from lib.training.config import CheckpointConfig
from lib.training.records import recorder
from lib.training.records.recorder import claim_folder
from lib.training.saving.checkpoint import LAST_NAME, Checkpoint
from tests.cli.killed_run import Nursery, prepare
from tests.training.records.test_recorder import SilentTracker, open_recorder

pytestmark = [pytest.mark.kill, pytest.mark.filterwarnings("ignore")]

STARTS = 8
REFUSALS = ("another process is writing a run there", "already holds a run")
# The owner has work until it is ended.
ENDLESS = ("--set", "training.epochs=100000")


def one_owner(start: Callable[[], ForkServerProcess], log: Path) -> ForkServerProcess:
    """Start something eight times at once and return the only process that was not refused."""
    processes = [start() for _ in range(STARTS)]
    begin = time.monotonic()
    while sum(process.is_alive() for process in processes) > 1 and time.monotonic() < begin + 120:
        time.sleep(0.01)
    text = log.read_text()
    assert sorted((process.exitcode for process in processes), key=str) == [EXIT_USER_ERROR] * 7 + [None], text
    assert sum(text.count(refusal) for refusal in REFUSALS) == STARTS - 1
    assert text.count("Choose another mlflow.run_name") == STARTS - 1
    assert "Traceback" not in text
    (owner,) = (process for process in processes if process.exitcode is None)
    return owner


def hold(save_dir: Path, log: Path) -> None:
    """Claim a folder as a training does, and hold it until killed; what a user reads then is appended to the log."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    recorder.Tracker = SilentTracker  # type: ignore[assignment,misc]
    logging.disable()

    def claim(arguments: Sequence[str]) -> int:
        run = open_recorder(claim_folder(CheckpointConfig(save_dir=save_dir), arguments[0], None))
        (run.folder / "owned").touch(exist_ok=False)
        signal.pause()
        return 0

    os._exit(run_command(claim, ["contested"]))


def test_of_eight_starts_one_owns_the_folder_and_seven_say_why_not(tmp_path: Path) -> None:
    """Two rounds; the second finds the lock of a process that was killed."""
    context = multiprocessing.get_context("forkserver")
    # Starts the server with all imports in it.
    Nursery("regressor", tmp_path)
    owned = tmp_path / "contested" / "owned"

    def start() -> ForkServerProcess:
        process = context.Process(target=hold, args=(tmp_path, log), daemon=True)
        process.start()
        return process

    for index in range(2):
        log = tmp_path / f"{index}.log"
        owner = one_owner(start, log)
        while owner.is_alive() and not owned.exists():
            time.sleep(0.01)
        owner.kill()
        owner.join(60)
        assert owner.exitcode == -signal.SIGKILL
        owned.unlink()


def contest_training(folder: Path, nursery: Nursery, name: str) -> None:
    """Start a run eight times at once; kill the owner; its place is free at once for a ninth, which goes on."""
    owner = one_owner(lambda: nursery.start(name, ENDLESS), folder / f"{name}.log")
    last = folder / "artifacts" / name / LAST_NAME
    while owner.is_alive() and not last.exists():
        time.sleep(0.01)
    owner.kill()
    owner.join(60)
    before, seen = Checkpoint.load(last).steps_done, nursery.batches_seen(name)
    heir = nursery.start(name, ENDLESS)
    while heir.is_alive() and nursery.batches_seen(name) == seen:
        time.sleep(0.01)
    assert heir.is_alive(), (folder / f"{name}.log").read_text()
    os.kill(heir.pid or 0, signal.SIGTERM)
    heir.join(60)
    assert heir.exitcode == EXIT_REQUEUE
    assert Checkpoint.load(last).steps_done > before


@pytest.mark.slow
def test_of_eight_trainings_one_owns_the_folder_in_twenty_rounds(tmp_path: Path) -> None:
    prepare(tmp_path, files=1, events=12)
    nursery = Nursery("regressor", tmp_path)
    for index in range(20):
        contest_training(tmp_path, nursery, f"contested_{index}")
