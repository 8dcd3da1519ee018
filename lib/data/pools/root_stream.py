"""Batches read from ROOT files, pool by pool."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

from lib.data.batch import EventBatch
from lib.data.choice.chosen_events import ChosenEvents
from lib.data.choice.order import EventOrder, Pool, batch_seed, cut_blocks
from lib.data.choice.quarantine import LedgerRow
from lib.data.choice.selection import FileSelection
from lib.data.config import DataConfig
from lib.data.normalization import Normalization
from lib.data.npho_count import NphoCount
from lib.data.pools.event_rows import EventRows, as_batches
from lib.data.pools.loader_profile import WAIT, LoaderProfile
from lib.data.pools.pool import FilledPool, FillSettings, PoolDataset, PoolFailure, PoolInProgress, PoolRequest
from lib.data.pools.pool_processes import PoolProcesses
from lib.errors import DataError

# Two pools, one in use and one being filled, stay below a gigabyte however large a chunk is asked for.
MAX_POOL_EVENTS = 8192


class RootStream:
    """Batches read from ROOT files (``lib.data.stream.EventStream``).

    With ``num_workers`` 0 a thread of this process fills the next pool while the present one is used; otherwise that
    many processes fill pools ahead and hand them over in shared memory. Order and content are the same. One epoch can
    be under way at a time.

    Attributes:
        selections: Ledger of selected and cut events of each file, in the order of the files.
        num_events: Selected events.
    """

    def __init__(self, chosen: ChosenEvents, config: DataConfig, normalization: Normalization) -> None:
        """Prepare the order; nothing is read yet.

        Args:
            chosen: The events, and how they are drawn.
            config: Batch size, pool size, workers and threads.
            normalization: Applied to every event.
        """
        self.selections = chosen.selections
        self.num_events = chosen.num_events
        self._chosen = chosen
        self._pool_events = min(config.chunksize, MAX_POOL_EVENTS)
        blocks = cut_blocks(chosen.selections, self._pool_events)
        self._order = EventOrder(blocks, pool_events=self._pool_events, seed=chosen.seed, shuffle=chosen.training)
        self._config = config
        self._pending = normalization if config.normalize_on == "device" else None
        settings = FillSettings(
            normalization,
            config.batch_size,
            config.num_threads,
            config.compiled,
            quarantine=config.on_bad == "quarantine",
            on_device=config.normalize_on == "device",
            counts_npho=config.log_invalid_npho,
        )
        self._dataset = PoolDataset(
            chosen.selections, chosen.plan, draw=chosen.draw, order=self._order, settings=settings
        )
        self._npho_count = NphoCount()
        self._processes: PoolProcesses | None = None
        self._epochs_begun = 0

    @property
    def batches_per_epoch(self) -> int:
        """How many batches ``epoch`` yields from the start."""
        return self._chosen.num_batches(self._config.batch_size)

    def ledger(self) -> list[LedgerRow]:
        """See ``EventStream``."""
        return self._chosen.quarantine.ledger()

    def npho_count(self) -> NphoCount | None:
        """See ``EventStream``."""
        return self._npho_count if self._config.log_invalid_npho else None

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[EventBatch]:
        """Yield the batches of one epoch from a position on, without reading those before it.

        Args:
            epoch: Number of the epoch, from 0.
            first_batch: Batches that are left out at its start.

        Raises:
            DataError: If a file can no longer be read, naming file, tree, branch and entries.
            RuntimeError: If another epoch of this stream was begun before this one was used up.
        """
        self._epochs_begun += 1
        return self._batches(epoch, first_batch, self._epochs_begun)

    def _batches(self, epoch: int, first_batch: int, turn: int) -> Iterator[EventBatch]:
        size = self._config.batch_size
        first_event, last_event = first_batch * size, min(self.batches_per_epoch * size, self.num_events)
        requests = _requests_between(self._pools(epoch), first_event, last_event, size)
        batch = first_batch
        profile, begin = LoaderProfile(), time.perf_counter()
        self._npho_count = profile.npho
        pools = self._filled(requests)
        for request in requests:
            if turn != self._epochs_begun:
                raise RuntimeError("another epoch of this stream was begun; use one at a time")
            with profile.measure(WAIT):
                filled = next(pools)
            profile.add(filled.profile)
            self._chosen.quarantine.add(filled.faults)
            num_whole, rest = divmod(request.offset + request.pool.num_events, size)
            for _ in range(num_whole):
                # Taken out of the list, so that its memory is free once the batch has been used.
                yield from self._as_batches(filled.batches.pop(0), size, epoch, batch)
                batch += 1
        if requests and rest and not self._chosen.training:
            yield from self._as_batches(filled.batches[-1], rest, epoch, batch)
        next(pools, None)
        profile.tell(time.perf_counter() - begin)

    def _pools(self, epoch: int) -> list[Pool]:
        drawn = self._chosen.draw.of_epoch(epoch)
        if drawn is self.selections:
            return self._order.pools(epoch)
        return self._order.with_blocks(cut_blocks(drawn, self._pool_events)).pools(epoch)

    def _as_batches(self, rows: EventRows, num_events: int, epoch: int, batch: int) -> Iterator[EventBatch]:
        seed = batch_seed(self._chosen.seed, epoch, batch)
        return as_batches(rows, num_events, seed, training=self._chosen.training, epoch=epoch, pending=self._pending)

    def _filled(self, requests: list[PoolRequest]) -> Iterator[FilledPool]:
        """Yield the batches of each pool; one that a pool does not fill comes again, completed, with the next."""
        if self._config.worker_processes == 0:
            yield from self._filled_by_threads(requests)
        else:
            yield from self._filled_by_processes(requests)

    def _filled_by_threads(self, requests: list[PoolRequest]) -> Iterator[FilledPool]:
        under_way: deque[PoolInProgress] = deque()
        begun: EventRows | None = None
        try:
            for request in requests:
                under_way.append(self._dataset.begin(request, begun))
                begun = under_way[-1].batches[-1]
                # Waiting for a pool means that the one before has been used up: the next takes its memory, and no
                # thread is idle while the last blocks are filled.
                if len(under_way) > self._config.prefetch_chunks:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for pool in under_way:
                pool.abandon()

    def _filled_by_processes(self, requests: list[PoolRequest]) -> Iterator[FilledPool]:
        self._processes = self._processes or PoolProcesses(
            self._dataset,
            partial(_file_names, self.selections),
            count=self._config.worker_processes,
            ahead=self._config.prefetch_factor,
            timeout_s=self._config.worker_timeout,
        )
        begun: EventRows | None = None
        for request, result in zip(requests, self._processes.fill(requests), strict=True):
            if isinstance(result, PoolFailure):
                # Its processes end with it: the traceback of an error would keep them for as long as someone holds it.
                self._processes = None
                raise DataError(result.message)
            if begun and request.offset > 0:
                done = slice(0, request.offset)
                result.batches[0].copy_rows(done, begun, done)
            begun = result.batches[-1]
            yield result


def _file_names(selections: Sequence[FileSelection], request: PoolRequest) -> str:
    indices = sorted({block.file_index for block in request.pool.blocks})
    return ", ".join(str(selections[index].file.path) for index in indices)


def _requests_between(pools: list[Pool], first: int, last: int, batch_size: int) -> list[PoolRequest]:
    """Return the pools that hold the events [first, last) of an epoch, and where they stand in its batches."""
    requests: list[PoolRequest] = []
    begin = 0
    for pool in pools:
        if begin + pool.num_events > first and begin < last:
            requests.append(PoolRequest(pool, (begin - first) % batch_size if requests else begin - first))
        begin += pool.num_events
    return requests
