"""Trainings of several processes that note what every step saw; also a command that torchrun starts."""

import functools
import os
import signal
import socket
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from lib.training.batch_runner import BatchRunner
from lib.training.ranks.distributed import rank
from tests.cli.killed_run import Nursery, train

PATIENCE = 900
Steps = dict[int, tuple[str, float]]
"""Events and joint loss of each step, the events of its batches in their order."""


def note_steps(folder: Path, name: str, stop_after: int | None = None) -> None:
    """Append number, events and joint loss of every step of this rank to a file of its own.

    Args:
        folder: Where the file is.
        name: Of the run.
        stop_after: Ask for an end, as a signal does, once this step is done.
    """
    accumulate = BatchRunner.accumulate

    def noted(self: BatchRunner[Any], batches: Any, begin: Any, step: int) -> Any:
        window = accumulate(self, batches, begin, step)
        events = ",".join(str(int(event)) for batch in window.batches for event in batch.event)
        loss = sum(float(output.loss) for output in window.outputs) / len(window.outputs)
        with (folder / f"{name}.rank{rank()}.txt").open("a") as file:
            # One write for one line: a kill leaves it whole or not there.
            file.write(f"{step} {events} {loss.hex()}\n")
        if step == stop_after:
            os.kill(os.getpid(), signal.SIGUSR1)
        return window

    BatchRunner.accumulate = noted  # type: ignore[method-assign]


def steps_of(folder: Path, name: str, number: int = 0) -> Steps:
    """Return what a rank of a run noted; a step that was done twice must have come to the same."""
    found: Steps = {}
    for line in (folder / f"{name}.rank{number}.txt").read_text().splitlines():
        step, events, loss = line.split()
        seen = events, float.fromhex(loss)
        assert found.setdefault(int(step), seen) == seen, f"step {step} differs when it is done again"
    return found


class Family:
    """Starts trainings of one kind in one folder, each with as many processes as it is to have."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._context = Nursery(kind, folder).context

    def run(self, name: str, ranks: int, arguments: Sequence[str] = (), stop_after: int | None = None) -> int:
        """Run a training of several ranks to its end and return the exit code that all of them had."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        processes = [self._start(name, number, ranks, port, arguments, stop_after) for number in range(ranks)]
        for process in processes:
            process.join(PATIENCE)
        hanging = [number for number, process in enumerate(processes) if process.is_alive()]
        for number in hanging:
            processes[number].kill()
        log = (self._folder / f"{name}.log").read_text()
        assert not hanging, log
        codes = {process.exitcode for process in processes}
        assert len(codes) == 1, log
        return codes.pop() or 0

    def _start(
        self, name: str, number: int, ranks: int, port: int, arguments: Sequence[str], stop_after: int | None
    ) -> ForkServerProcess:
        # The first rank alone is asked to end.
        stop_after = stop_after if number == 0 else None
        arrange = functools.partial(_become_rank, self._folder, name, number, ranks, port, stop_after)
        process = self._context.Process(target=train, args=(self._kind, self._folder, name, arguments, arrange))
        process.start()
        return process


def _become_rank(folder: Path, name: str, number: int, ranks: int, port: int, stop_after: int | None) -> None:
    os.environ |= {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    note_steps(folder, name, stop_after)


if __name__ == "__main__":
    here, run = Path.cwd(), sys.argv[2]
    train(sys.argv[1], here, run, sys.argv[3:], functools.partial(note_steps, here, run))
