"""Processes that fill pools ahead, in order, and are started anew where they stood when they die or hang."""

import logging
import multiprocessing
import os
import queue
import signal
import socket
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess

import torch

from lib.data.pools.pool import FilledPool, PoolDataset, PoolFailure, PoolRequest
from lib.data.pools.shared_result import receive_shared, send_shared
from lib.errors import DataError

logger = logging.getLogger(__name__)

MAX_DEATHS = 3


@dataclass(frozen=True)
class _Crash:
    """The traceback of an error in a process that no file is to blame for."""

    text: str


@dataclass
class _Worker:
    """One process and what it was asked for.

    Attributes:
        process: The process.
        requests: Where it is asked.
        results: Where it answers.
        asked: Numbers of the pools it was asked for and has not delivered, in order.
        deaths: Processes in a row that died before they delivered the first of these.
    """

    process: ForkServerProcess
    requests: Connection
    results: socket.socket
    asked: deque[int] = field(default_factory=deque)
    deaths: int = 0


class PoolProcesses:
    """A fixed number of processes, each of which fills every n-th pool.

    A process that dies, or that delivers nothing for too long and is killed, is replaced by one that is asked for the
    same pools: their order and content do not change. A pool that ends three processes in a row is an error.

    Args:
        dataset: Fills the pools; pickled into each process.
        name_files: Says from which files a pool is filled.
        count: Number of processes.
        ahead: Pools that each prepares ahead.
        timeout_s: Seconds after which a process that is waited for counts as hanging.
    """

    def __init__(
        self,
        dataset: PoolDataset,
        name_files: Callable[[PoolRequest], str],
        *,
        count: int,
        ahead: int,
        timeout_s: float,
    ) -> None:
        # A forked child would inherit the locks of this process's threads, and CUDA refuses to run in it. The server
        # imports the libraries once for all its workers.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._dataset = dataset
        self._name_files = name_files
        self._ahead = ahead
        self._timeout_s = timeout_s
        self._workers = [self._start() for _ in range(count)]
        # Processes end when nobody holds the other end of their sockets.
        weakref.finalize(self, _let_go, self._workers)
        self._round = 0
        self._requests: Sequence[PoolRequest] = ()
        self._received: dict[int, FilledPool | PoolFailure] = {}

    def fill(self, requests: Sequence[PoolRequest]) -> Iterator[FilledPool | PoolFailure]:
        """Yield the pools in order; what an earlier call still had under way is dropped.

        Raises:
            DataError: Naming the files of a pool that ended three processes in a row.
            RuntimeError: If a process failed for a reason that has nothing to do with its files.
        """
        self._round += 1
        self._requests = requests
        self._received = {}
        for worker in self._workers:
            worker.asked.clear()
            worker.deaths = 0
        for number in range(len(requests)):
            self._ask(number)
            while number not in self._received:
                self._wait_for(self._worker_of(number))
            yield self._received.pop(number)

    def _worker_of(self, number: int) -> _Worker:
        return self._workers[number % len(self._workers)]

    def _ask(self, awaited: int) -> None:
        """Ask every process for what is due until a pool is used up; one that just died for a single pool."""
        count = len(self._workers)
        for index, worker in enumerate(self._workers):
            if worker.deaths:
                continue
            done = awaited + (index - awaited) % count
            for number in range(done, min(done + count * self._ahead, len(self._requests)), count):
                if number not in self._received and (not worker.asked or number > worker.asked[-1]):
                    worker.asked.append(number)
                    self._send(worker, number)

    def _send(self, worker: _Worker, number: int) -> None:
        try:
            worker.requests.send((self._tag(number), self._requests[number]))
        except OSError:
            # It is dead; whoever waits for it finds that out and asks again.
            logger.debug("loader process %s: gone before it could be asked", worker.process.pid)

    def _tag(self, number: int) -> int:
        return self._round << 32 | number

    def _wait_for(self, worker: _Worker) -> None:
        """Take what has come, or replace those who died; returns after the first of either."""
        sentinels = {one.process.sentinel: one for one in self._workers}
        ready = wait([worker.results, *sentinels], self._timeout_s)
        if not ready:
            logger.warning("loader process %s: nothing for %g s, so it is ended", worker.process.pid, self._timeout_s)
            worker.process.kill()
            self._replace(worker)
        elif worker.results in ready:
            if not self._take(worker):
                worker.process.kill()
                self._replace(worker)
        else:
            for sentinel in ready:
                # What it sent before is still to be had.
                while self._take(sentinels[sentinel]):  # type: ignore[index]
                    continue
                self._replace(sentinels[sentinel])  # type: ignore[index]

    def _take(self, worker: _Worker) -> bool:
        """Receive one result; return False if the process closed its end.

        Raises:
            RuntimeError: If something failed in the process that no file is to blame for.
        """
        try:
            tag, result = receive_shared(worker.results)
        except (EOFError, OSError):
            return False
        number = tag & (1 << 32) - 1
        if tag == self._tag(number):
            worker.asked.remove(number)
            worker.deaths = 0
            if isinstance(result, _Crash):
                raise RuntimeError(f"a loader process failed:\n{result.text}")
            self._received[number] = result
        return True

    def _replace(self, worker: _Worker) -> None:
        """Start a process in the place of a dead or dying one and ask it for the first pool that is missing.

        Raises:
            DataError: If this pool ended three processes.
        """
        worker.process.join()
        _let_go([worker])
        how = _ending(worker.process.exitcode)
        first = list(worker.asked)[:1]
        # An idle one died of nothing that will come again.
        worker.deaths += len(first)
        files = self._name_files(self._requests[first[0]]) if first else "no file"
        if worker.deaths >= MAX_DEATHS:
            raise DataError(
                f"{files}: reading ended {MAX_DEATHS} loader processes in a row, the last one {how}. Remove or mend "
                "the file, give the job more memory, or see the error itself with data.num_workers: 0."
            )
        logger.warning("a loader process %s while it read %s; another goes on where it stood", how, files)
        fresh = self._start()
        worker.process, worker.requests, worker.results = fresh.process, fresh.requests, fresh.results
        # Alone, so that the pool to blame is known if this one dies too; the others are asked for again later.
        worker.asked = deque(first)
        for number in first:
            self._send(worker, number)

    def _start(self) -> _Worker:
        their_requests, requests = self._context.Pipe(duplex=False)
        results, their_results = socket.socketpair()
        target_arguments = (self._dataset, their_requests, their_results)
        process = self._context.Process(target=_serve, args=target_arguments, daemon=True)
        process.start()
        # Only the process may hold its ends: its death then closes them.
        their_requests.close()
        their_results.close()
        return _Worker(process, requests, results)


def _let_go(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.requests.close()
        worker.results.close()


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def _serve(dataset: PoolDataset, connection: Connection, results: socket.socket) -> None:
    """Answer requests until the training's process lets go of its ends."""
    torch.set_num_threads(1)
    requests: queue.SimpleQueue[tuple[int, PoolRequest]] = queue.SimpleQueue()
    # Always received, so that the training never waits for a process that waits for it.
    threading.Thread(target=_receive, args=(connection, requests), daemon=True).start()
    while True:
        tag, request = requests.get()
        result: FilledPool | PoolFailure | _Crash
        try:
            result = dataset[request]
        except Exception:  # noqa: BLE001 - told to the training, which raises it
            result = _Crash(traceback.format_exc())
        try:
            send_shared(results, tag, result)
        except ConnectionError:
            os._exit(0)
        del result


def _receive(connection: Connection, requests: "queue.SimpleQueue[tuple[int, PoolRequest]]") -> None:
    while True:
        try:
            requests.put(connection.recv())
        except (EOFError, OSError):
            # Nobody is there to answer; what is being read is of no use.
            os._exit(0)
