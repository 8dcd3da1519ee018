"""Signals that ask a training to stop: it saves itself at the next step edge and wants to be started again."""

import atexit
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# SLURM sends SIGTERM at the time limit and, asked by --signal, SIGUSR1 before it; SIGINT is Ctrl-C.
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Notes the first signal and lets the second one kill the process.

    Attributes:
        requested: Whether a signal came.
    """

    def __init__(self) -> None:
        self.requested = False
        self._immediate = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals for the length of the block; only the main thread can."""
        before = {number: signal.signal(number, self._note) for number in STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def request(self) -> None:
        """Ask like a signal does, from any thread, for a stop at the next step edge."""
        self.requested = True

    def interrupt_at_once(self) -> None:
        """Answer a signal by KeyboardInterrupt from now on: everything is saved, no step edge has to be waited for."""
        self._immediate = True
        if self.requested:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        # A handler may interrupt anything, so it does next to nothing.
        for other in STOPPING:
            signal.signal(other, signal.SIG_DFL)
        self.requested = True
        if self._immediate:
            raise KeyboardInterrupt


def start_shielded_server(preload: list[str]) -> None:
    """Start the server that worker processes are forked from, deaf to these signals like its children.

    Ctrl-C and SLURM signal every process of a job, and a batch must not be lost before the training has saved itself.

    Args:
        preload: Modules that the server imports once for all its children.
    """
    # It opens SIGINT and SIGTERM when it starts, so it must not do that in between.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        multiprocessing.forkserver.set_forkserver_preload(preload)
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    # Registered after multiprocessing's own, so called before it, which would end workers by SIGTERM and wait forever.
    atexit.register(_kill_workers)


def _kill_workers() -> None:
    for worker in multiprocessing.active_children():
        worker.kill()
        worker.join()
