"""A training that no longer goes on is noticed, and one that is only slow to begin is not."""

import io
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lib.training.supervision.supervision_config import WatchdogConfig
from lib.training.supervision.watchdog import HEARTBEAT_NAME, Watchdog

HANGING = """
import sys, time
from pathlib import Path
from lib.training.supervision.supervision_config import WatchdogConfig
from lib.training.supervision.watchdog import Watchdog
def wait_for_ever():
    if sys.argv[2] == "locked":
        # Holds Python's lock all the while.
        import ctypes
        time.sleep(0.1)
        ctypes.PyDLL(None).usleep(900_000)
        print("went on")
    else:
        time.sleep(600)
limits = {"seconds": 0.2, "patience": 1.0} | ({"exit_seconds": 0.5} if sys.argv[2] == "free" else {})
watchdog = Watchdog(Path(sys.argv[1]), WatchdogConfig(**limits), exit_code=75)
with watchdog.watching():
    watchdog.beat(7)
    wait_for_ever()
"""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def watchdog_at(clock: Clock, folder: Path, **settings: Any) -> Watchdog:
    return Watchdog(folder, WatchdogConfig(**settings), exit_code=75, clock=clock)


def look(watchdog: Watchdog, folder: Path) -> None:
    with (folder / "stacks_rank0.txt").open("a") as stacks:
        watchdog._look(stacks)


def test_a_silence_is_told_once_with_the_stacks_of_all_threads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    watchdog = watchdog_at(clock, tmp_path)
    ready, done = threading.Event(), threading.Event()

    def wait_for_a_batch() -> None:
        ready.set()
        done.wait(60)

    thread = threading.Thread(target=wait_for_a_batch)
    thread.start()
    assert ready.wait(60)
    watchdog.beat(41)
    clock.now = 119.0
    look(watchdog, tmp_path)
    assert caplog.records == []
    for now in (121.0, 500.0):
        clock.now = now
        look(watchdog, tmp_path)
    done.set()
    thread.join()
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    stacks = (tmp_path / "stacks_rank0.txt").read_text()
    for text in (record.getMessage(), stacks):
        assert "nothing for 121 s in phase 'start' after step 41" in text
        assert "wait_for_a_batch" in text
        assert "test_a_silence_is_told_once" in text
    watchdog.beat(42)
    clock.now = 700.0
    look(watchdog, tmp_path)
    assert len(caplog.records) == 2


def test_the_beginning_of_a_phase_may_take_longer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    watchdog = watchdog_at(clock, tmp_path, seconds=10.0, patience=10.0)
    for phase in ("training", "validation", "recording"):
        watchdog.begin(phase)
        clock.now += 99.0
        look(watchdog, tmp_path)
        watchdog.beat(1)
        clock.now += 9.0
        look(watchdog, tmp_path)
    assert caplog.records == []
    watchdog.begin("artifacts")
    clock.now += 101.0
    look(watchdog, tmp_path)
    assert "in phase 'artifacts'" in caplog.text


def test_the_heartbeat_says_where_the_training_is(tmp_path: Path) -> None:
    clock = Clock()
    watchdog = watchdog_at(clock, tmp_path)
    watchdog.begin("validation")
    watchdog.beat(12)
    clock.now = 3.0
    look(watchdog, tmp_path)
    beat = json.loads((tmp_path / HEARTBEAT_NAME).read_text())
    assert (beat["phase"], beat["steps_done"], beat["silent_s"]) == ("validation", 12, 3.0)
    assert not list(tmp_path.glob(".*.partial*"))


def test_a_disk_that_refuses_the_heartbeat_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watchdog = watchdog_at(Clock(), tmp_path / "absent")
    for _ in range(3):
        watchdog._look(io.StringIO())
    assert len(caplog.records) == 1
    assert "heartbeat.json: cannot be written" in caplog.text


def test_chores_are_done_and_nothing_is_left_of_a_run_without_a_hang(tmp_path: Path) -> None:
    called = threading.Event()
    watchdog = Watchdog(tmp_path, WatchdogConfig(), exit_code=75, chores=[called.set])
    with watchdog.watching():
        assert called.wait(60)
    assert [path.name for path in tmp_path.iterdir()] == [HEARTBEAT_NAME]


@pytest.mark.parametrize("how", ["free", "locked"])
def test_a_hang_is_told_and_ends_the_process_where_that_is_wanted(tmp_path: Path, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING, str(tmp_path), how], capture_output=True, text=True, check=False, timeout=60
    )
    stacks = (tmp_path / "stacks_rank0.txt").read_text()
    assert "wait_for_ever" in stacks
    if how == "free":
        assert done.returncode == 75, done.stderr
        assert "after step 7" in stacks


def test_the_end_of_patience_does_not_come_before_its_first_word() -> None:
    with pytest.raises(ValueError, match="exit_seconds must not be below seconds"):
        WatchdogConfig(exit_seconds=1.0)
