"""A sweep on one machine: several points at a time, each in its own process."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from lib.cli.entry import EXIT_DONE, EXIT_REQUEUE
from lib.cluster.child_process import LOOK_SECONDS, PASSED_ON
from lib.cluster.sweep_folder import SweepFolder

logger = logging.getLogger(__name__)

EXIT_SOME_FAILED = 1


class LocalRun:
    """Works through points, a fixed number at a time.

    Args:
        folder: The sweep.
        at_a_time: Points that run together; they share the cores.
    """

    def __init__(self, folder: SweepFolder, at_a_time: int) -> None:
        self._folder = folder
        self._at_a_time = at_a_time
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._is_stopped = False

    def run(self, indices: Sequence[int]) -> int:
        """Run the points and return 0 if all finished, 75 after a signal, 1 if one failed."""
        before = {number: signal.signal(number, self._stop) for number in PASSED_ON}
        try:
            codes = self._work(list(indices))
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._is_stopped:
            logger.warning("stopped by a signal; the same command goes on")
            return EXIT_REQUEUE
        return EXIT_SOME_FAILED if any(codes) else EXIT_DONE

    def _work(self, waiting: list[int]) -> list[int]:
        codes = []
        while self._running or (waiting and not self._is_stopped):
            while waiting and len(self._running) < self._at_a_time and not self._is_stopped:
                self._start(waiting.pop(0))
            for index, child in list(self._running.items()):
                if child.poll() is not None:
                    del self._running[index]
                    codes.append(child.returncode)
                    logger.info("point %d: exit code %d", index, child.returncode)
            time.sleep(LOOK_SECONDS / 10)
        return codes

    def _start(self, index: int) -> None:
        threads = max(1, (os.cpu_count() or 1) // self._at_a_time)
        environment = {"OMP_NUM_THREADS": str(threads)} | dict(os.environ)
        command = [sys.executable, "-m", "lib.sweep", str(self._folder.folder), "--point", str(index)]
        self._running[index] = subprocess.Popen(command, env=environment)

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        self._is_stopped = True
        for child in self._running.values():
            child.send_signal(number)
