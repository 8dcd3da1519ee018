"""Notices from a thread of its own that a training no longer goes on, and writes down where it stands."""

import faulthandler
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lib.training.supervision.supervision_config import WatchdogConfig

logger = logging.getLogger(__name__)

HEARTBEAT_NAME = "heartbeat.json"
LONGEST_PAUSE_SECONDS = 10.0
SHOWN_CHARACTERS = 20_000


class Watchdog:
    """Waits for signs of life of a training.

    Each phase of a run (reading, training, validation, writing) may begin slowly; after its first sign of life the
    next ones are expected within ``seconds``. A silence is told once, with the stacks of all threads in the log and in
    the run's folder; if the silence lasts for ``exit_seconds``, the process ends.

    Args:
        folder: Folder of the run.
        config: How long to wait.
        exit_code: What the process ends with.
        chores: Called about every ten seconds by the same thread.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        folder: Path,
        config: WatchdogConfig,
        *,
        exit_code: int,
        chores: Sequence[Callable[[], None]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._config = config
        self._exit_code = exit_code
        self._chores = chores
        self._clock = clock
        self._rank = os.environ.get("RANK", "0")
        self._stacks_path = folder / f"stacks_rank{self._rank}.txt"
        # Written by the training, read by the thread; one reference changes hands at a time.
        self._sign = (clock(), "start", 0, True)
        self._told_of: float | None = None
        self._ending = threading.Event()
        self._may_warn = True

    def begin(self, phase: str) -> None:
        """Note that something begins that may take long until its first sign of life."""
        self._sign = (self._clock(), phase, self._sign[2], True)

    def beat(self, step: int) -> None:
        """Note a sign of life: a step, or a batch of the validation.

        Args:
            step: Finished steps.
        """
        self._sign = (self._clock(), self._sign[1], step, False)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for the length of the block."""
        try:
            stacks = self._stacks_path.open("a", encoding="utf-8")
        except OSError as error:
            logger.warning("%s: cannot be written (%s), so a hang will be seen in the log alone", self._folder, error)
            stacks = Path(os.devnull).open("a", encoding="utf-8")  # noqa: SIM115 - closed below
        with stacks:
            thread = threading.Thread(target=self._watch, args=(stacks,), name="watchdog", daemon=True)
            thread.start()
            try:
                yield
            finally:
                self._ending.set()
                thread.join()
                faulthandler.cancel_dump_traceback_later()
        if self._stacks_path.exists() and self._stacks_path.stat().st_size == 0:
            self._stacks_path.unlink()

    def _watch(self, stacks: IO[str]) -> None:
        pause = min(LONGEST_PAUSE_SECONDS, self._config.seconds / 4)
        while True:
            if self._config.enabled:
                # Dumps without Python's lock, should somebody hold it for ever.
                longest = self._config.seconds * self._config.patience + pause
                faulthandler.dump_traceback_later(longest, file=stacks)
                self._look(stacks)
            for chore in self._chores:
                chore()
            if self._ending.wait(pause):
                return

    def _look(self, stacks: IO[str]) -> None:
        since, phase, step, is_beginning = self._sign
        silent = self._clock() - since
        self._write_heartbeat(silent, phase, step)
        factor = self._config.patience if is_beginning else 1.0
        if silent > factor * self._config.seconds and self._told_of != since:
            self._told_of = since
            self._tell(stacks, f"nothing for {silent:.0f} s in phase {phase!r} after step {step}")
        limit = self._config.exit_seconds
        if limit is not None and silent > factor * limit:
            logger.error("nothing for %.0f s; the process ends with code %d", silent, self._exit_code)
            logging.shutdown()
            os._exit(self._exit_code)

    def _tell(self, stacks: IO[str], what: str) -> None:
        begin = stacks.tell()
        stacks.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {socket.gethostname()} process {os.getpid()}: {what}\n")
        stacks.flush()
        faulthandler.dump_traceback(file=stacks, all_threads=True)
        stacks.flush()
        text = ""
        if self._stacks_path.exists():
            text = self._stacks_path.read_bytes()[begin:].decode(errors="replace")[:SHOWN_CHARACTERS]
        logger.error("%s; the stacks of all threads are in %s\n%s", what, self._stacks_path, text)

    def _write_heartbeat(self, silent: float, phase: str, step: int) -> None:
        content = {
            "time": time.time(),
            "host": socket.gethostname(),
            "process": os.getpid(),
            "phase": phase,
            "steps_done": step,
            "silent_s": round(silent, 1),
        }
        name = HEARTBEAT_NAME if self._rank == "0" else f"heartbeat_rank{self._rank}.json"
        temporary = self._folder / f".{name}.{os.getpid()}.partial.json"
        try:
            # Readers see a whole file; what a crash leaves of it is of no use, so the disk is not waited for.
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
            temporary.replace(self._folder / name)
        except OSError as error:
            if self._may_warn:
                logger.warning("%s: cannot be written (%s)", self._folder / name, error)
            self._may_warn = False
        else:
            self._may_warn = True
