"""Notices from a thread of its own that another process of the training is gone or stands still."""

import faulthandler
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import torch.distributed as dist

from lib.training.ranks.distributed import rank, world_size

logger = logging.getLogger(__name__)

LOST = "lost"
DONE = "done"
STORE_SECONDS = 10


class Store(Protocol):
    """Where the ranks leave their signs of life; the store of torchrun."""

    def set(self, key: str, value: str) -> None:
        """Keep a value."""
        ...

    def get(self, key: str) -> bytes:
        """Return a value, once it is there."""
        ...

    def check(self, keys: list[str]) -> bool:
        """Return True if all values are there."""
        ...


class RankWatch:
    """Gives signs of life, and waits for those of the next rank.

    A thread gives them, so a rank that takes long over a step, a file or a compilation is not taken for a lost one:
    only a process that was stopped, or a host that is gone, gives none.

    Args:
        store: Seen by all ranks.
        number: This rank.
        ranks: How many there are.
        patience: Seconds without a sign of life after which a rank is lost.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        store: Store,
        number: int,
        ranks: int,
        *,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._number = number
        self._next = (number + 1) % ranks
        self._patience = patience
        self._clock = clock
        self._signs = 0
        self._seen = b""
        self._seen_at = clock()

    def look(self) -> str:
        """Give a sign of life and look for others; return what is wrong, or nothing."""
        self._signs += 1
        try:
            self._store.set(_key(self._number), f"{self._signs} on {socket.gethostname()} process {os.getpid()}")
            if self._store.check([LOST]):
                return self._store.get(LOST).decode()
            sign = self._store.get(_key(self._next)) if self._store.check([_key(self._next)]) else b""
        except (RuntimeError, ValueError) as error:
            # The store lives on the first node.
            sign, trouble = self._seen, f"the first node does not answer ({str(error).splitlines()[0]})"
        else:
            trouble = f"rank {self._next} ({_whose(sign)}) gives no sign of life"
        if sign != self._seen:
            self._seen, self._seen_at = sign, self._clock()
        silent = self._clock() - self._seen_at
        if silent < self._patience or sign == DONE.encode():
            return ""
        return f"{trouble} for {silent:.0f} s"

    def tell_others(self, trouble: str) -> None:
        """Let every rank know what is wrong, so that each writes down where it stands."""
        try:
            self._store.set(LOST, trouble)
        except (RuntimeError, ValueError) as error:
            logger.warning("the other ranks cannot be told (%s)", str(error).splitlines()[0])

    def leave(self) -> None:
        """Say that no more signs of life are to be expected."""
        try:
            self._store.set(_key(self._number), DONE)
        except (RuntimeError, ValueError):
            logger.debug("the store of the ranks is gone")


@contextmanager
def watched_ranks(patience: float, folder: Path, *, exit_code: int) -> Iterator[None]:
    """End this process for the length of the block if another rank is lost, after writing down its stacks.

    Args:
        patience: Seconds without a sign of life after which a rank is lost.
        folder: Of the run; the stacks are written there, and to the log.
        exit_code: What the process ends with.
    """
    if world_size() == 1:
        yield
        return
    store = dist.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        wait_for_workers=False,
        timeout=timedelta(seconds=STORE_SECONDS),
    )
    separate = dist.PrefixStore("ranks", store)  # type: ignore[attr-defined]
    watch = RankWatch(separate, rank(), world_size(), patience=patience)
    ending = threading.Event()

    def work() -> None:
        while not ending.is_set():
            if trouble := watch.look():
                watch.tell_others(trouble)
                # The others look as often.
                ending.wait(patience / 4)
                if not ending.is_set():
                    _end(trouble, folder, exit_code)
            ending.wait(patience / 4)

    thread = threading.Thread(target=work, name="rank watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        watch.leave()


def _end(trouble: str, folder: Path, exit_code: int) -> None:
    message = f"rank {rank()}: {trouble}; the process ends with code {exit_code}. Stacks of all threads:\n"
    sys.stderr.write(message)
    sys.stderr.flush()
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    try:
        with (folder / f"stacks_rank{rank()}.txt").open("a", encoding="utf-8") as stacks:
            stacks.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {socket.gethostname()} {message}")
            stacks.flush()
            faulthandler.dump_traceback(file=stacks, all_threads=True)
    except OSError as error:
        sys.stderr.write(f"{folder}: cannot be written ({error})\n")
    logging.shutdown()
    os._exit(exit_code)


def _key(number: int) -> str:
    return f"alive/{number}"


def _whose(sign: bytes) -> str:
    return sign.decode().partition(" on ")[2] or "it never gave one"
