"""A rank that is killed or stopped anywhere: all others end soon, and the run goes on as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lib.cli.entry import EXIT_DONE, EXIT_REQUEUE
from tests.cli.joined_run import steps_of
from tests.cli.killed_run import prepare

ROOT_FOLDER = Path(__file__).parents[2]
RANKS = 4
POINTS = 30
LIMIT_SECONDS = 60
# All starts compile nothing and read little, but four processes import at once.
PATIENCE = 300


class Run:
    """One run of several ranks, started again and again."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name

    def start(self) -> "subprocess.Popen[bytes]":
        launcher = [sys.executable, "-W", "ignore", "-m", "lib.launch", "--standalone", f"--nproc_per_node={RANKS}"]
        command = [*launcher, "-m", "tests.cli.joined_run", "mae", self.name, "--set", "data.batch_size=8"]
        variables = {"PYTHONPATH": str(ROOT_FOLDER), "MLFLOW_TRACKING_URI": "sqlite:////proc/no/runs.db"}
        return subprocess.Popen(command, cwd=self.folder, env={**os.environ, **variables})

    def ranks(self, launcher: "subprocess.Popen[bytes]") -> dict[int, psutil.Process]:
        """Return the processes of the ranks that are there."""
        found = {}
        for process in psutil.Process(launcher.pid).children():
            try:
                found[int(process.environ()["RANK"])] = process
            except (psutil.Error, KeyError):
                continue
        return found

    def steps(self) -> int:
        """Return how many steps the first rank has taken, those that were repeated included."""
        path = self.folder / f"{self.name}.rank0.txt"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def wait_for(self, launcher: "subprocess.Popen[bytes]", steps: int) -> None:
        """Wait until so many steps are taken and all ranks are there, or the run has ended."""
        deadline = time.monotonic() + PATIENCE
        while launcher.poll() is None and (self.steps() < steps or len(self.ranks(launcher)) < RANKS):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()


def lose(run: Run, draw: random.Random, number: int) -> float | None:
    """Start the run, lose a rank somewhere, and return after how many seconds all were out; None if it had ended."""
    launcher = run.start()
    # Some are killed while they start, most are lost between two steps that are drawn. One that is stopped before it
    # has met the others is waited for as long as a slow file system may need to import everything.
    begins_training = number == signal.SIGSTOP or draw.random() < 0.6
    run.wait_for(launcher, run.steps() + draw.randint(1, 3) if begins_training else 0)
    time.sleep(draw.random() * (0.1 if begins_training else 5.0))
    ranks = run.ranks(launcher)
    if launcher.poll() is not None or len(ranks) < RANKS:
        assert launcher.wait(LIMIT_SECONDS) == EXIT_DONE
        return None
    ranks[draw.randrange(RANKS)].send_signal(number)
    begin = time.monotonic()
    assert launcher.wait(2 * LIMIT_SECONDS) == EXIT_REQUEUE, run.log()
    seconds = time.monotonic() - begin
    assert not [process for process in ranks.values() if process.is_running()]
    if number == signal.SIGSTOP:
        assert "gives no sign of life" in run.log()
        assert list((run.folder / "artifacts" / run.name).glob("stacks_rank*.txt"))
    return seconds


@pytest.mark.slow
@pytest.mark.kill
def test_all_ranks_are_out_within_a_minute_wherever_one_is_lost_and_the_run_goes_on(tmp_path: Path) -> None:
    # Four steps of two batches between two checkpoints.
    prepare(tmp_path, files=2, events=200)
    whole, run = Run(tmp_path, "whole"), Run(tmp_path, "lossy")
    assert whole.start().wait(PATIENCE) == EXIT_DONE
    draw = random.Random(1)
    seconds = []
    for point in range(int(os.environ.get("LOST_RANKS", POINTS))):
        number = signal.SIGSTOP if point % 2 else signal.SIGKILL
        lost = lose(run, draw, number)
        sys.stdout.write(f"point {point}: {number.name}, out after {lost} s\n")
        if lost is not None:
            seconds.append(lost)
    assert run.start().wait(PATIENCE) == EXIT_DONE, run.log()
    assert seconds
    assert max(seconds) <= LIMIT_SECONDS
    assert steps_of(tmp_path, "lossy") == steps_of(tmp_path, "whole")
