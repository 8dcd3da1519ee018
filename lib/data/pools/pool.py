"""Filling a pool: read its blocks, normalize them, and put every event into its row of its batch."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from lib.data.choice.balance import EventDraw
from lib.data.choice.order import Block, EventOrder, Pool
from lib.data.choice.quarantine import Fault
from lib.data.choice.selection import FileSelection
from lib.data.normalization import Normalization
from lib.data.npho_count import count_npho
from lib.data.pools.event_rows import UNREADABLE, EventRows, RowMemory
from lib.data.pools.loader_profile import BATCH, DECOMPRESS, NORMALIZE, READ, LoaderProfile
from lib.data.pools.sensor_kernel import sensor_kernel
from lib.data.trees.schema import BranchPlan
from lib.data.trees.source import EventReader
from lib.errors import DataError


@dataclass(frozen=True)
class PoolRequest:
    """A pool and where it stands in the batches of its epoch.

    Attributes:
        pool: The pool.
        offset: Row, within the first batch that the pool contributes to, of its first event. Positive where the pools
            before it have begun that batch; negative where as many events of the pool are left out.
    """

    pool: Pool
    offset: int


@dataclass(frozen=True)
class PoolFailure:
    """Why a pool could not be filled; an exception would arrive from a worker with its traceback in the message."""

    message: str


@dataclass(frozen=True)
class FillSettings:
    """How pools are filled.

    Attributes:
        normalization: Of every event.
        batch_size: Rows of a batch.
        num_threads: Threads of one process.
        compiled: Whether compiled code may be used.
        quarantine: Whether events that cannot be read are marked instead of being an error.
        on_device: Whether the normalization is left to the device.
        counts_npho: Whether photon counts without a value are counted.
    """

    normalization: Normalization
    batch_size: int
    num_threads: int
    compiled: bool
    quarantine: bool
    on_device: bool
    counts_npho: bool = False


@dataclass(frozen=True, eq=False)
class FilledPool:
    """What a pool contributes to the batches of its epoch.

    Attributes:
        batches: The batches with events of the pool; the last one may end before it is full.
        faults: Events that could not be read; their weight is ``UNREADABLE``.
        profile: Time of all threads.
    """

    batches: list[EventRows]
    faults: list[Fault]
    profile: LoaderProfile


# What could not be read of a block, and the time it took.
_FilledBlock: TypeAlias = tuple[list[Fault], LoaderProfile]


class PoolDataset(Dataset[FilledPool | PoolFailure]):
    """Pools by request; lives in the training process or, pickled, in each loader process."""

    def __init__(
        self,
        selections: Sequence[FileSelection],
        plan: BranchPlan,
        *,
        draw: EventDraw,
        order: EventOrder,
        settings: FillSettings,
    ) -> None:
        self._selections = selections
        self._plan = plan
        self._draw = draw
        self._order = order
        self._settings = settings
        self._worker: _Worker | None = None

    def __getitem__(self, request: PoolRequest) -> FilledPool | PoolFailure:
        """Return the batches of a pool, or what went wrong with the files."""
        try:
            return self.begin(request, None).result()
        except DataError as error:
            return PoolFailure(str(error))

    def begin(self, request: PoolRequest, begun: EventRows | None) -> "PoolInProgress":
        """Have threads read and normalize a pool, one block each at a time.

        A pool may be begun before another is done: no thread waits for the last block of the one before.

        Args:
            request: What is wanted.
            begun: The batch that the pools before have begun; without it, its place is taken by one whose rows before
                the offset are left to be filled.
        """
        # Opened where they are used: files, threads and compiled code do not travel to other processes.
        worker = self._worker = self._worker or _Worker(self._selections, self._plan, self._settings)
        drawn = self._draw.of_epoch(request.pool.epoch)
        return worker.begin(request, drawn, self._order.rows(request.pool), begun)


class PoolInProgress:
    """A pool that threads are filling.

    Attributes:
        batches: Those with events of the pool, not all of them filled.
    """

    def __init__(self, batches: list[EventRows], blocks: Sequence[Future[_FilledBlock]]) -> None:
        self.batches = batches
        self._blocks = blocks

    def result(self) -> FilledPool:
        """Wait for the last block.

        Raises:
            DataError: Naming file, branch and entries if something cannot be read, without quarantine.
        """
        wait(self._blocks)
        whole = LoaderProfile()
        faults: list[Fault] = []
        for block in self._blocks:
            some, profile = block.result()
            faults += some
            whole.add(profile)
        return FilledPool(self.batches, faults, whole)

    def abandon(self) -> None:
        """Leave out the blocks that are not begun, and wait for those that are."""
        for block in self._blocks:
            block.cancel()
        wait(self._blocks)


class _Worker:
    """What fills pools within one process."""

    def __init__(self, selections: Sequence[FileSelection], plan: BranchPlan, settings: FillSettings) -> None:
        self._selections = selections
        self._batch_size = settings.batch_size
        self._settings = settings
        self._tree_name = plan.tree_name
        self._reader = EventReader([selection.file for selection in selections], plan)
        applied = settings.normalization.deferred() if settings.on_device else settings.normalization
        self._kernel = sensor_kernel(applied, compiled=settings.compiled)
        self._memory = RowMemory(settings.batch_size, plan.truth_branches)
        # What these threads run is NumPy's or ours: a team of torch's threads inside each would fight over the cores.
        self._executor = ThreadPoolExecutor(settings.num_threads, "fill")

    def begin(
        self,
        request: PoolRequest,
        drawn: Sequence[FileSelection],
        rows: NDArray[np.intp],
        begun: EventRows | None,
    ) -> PoolInProgress:
        """Hand the blocks of a pool to the threads; see ``PoolDataset.begin``."""
        blocks = request.pool.blocks
        places = rows + request.offset
        batches = [begun] if begun and request.offset > 0 else []
        num_batches = -(-(request.pool.num_events + request.offset) // self._batch_size)
        batches += [self._memory.lend() for _ in range(num_batches - len(batches))]
        borders = np.cumsum([0, *(block.num_events for block in blocks)])
        jobs = [
            self._executor.submit(self._try_block, block, drawn[block.file_index], places[first:last], batches)
            for block, (first, last) in zip(blocks, pairwise(borders), strict=True)
        ]
        return PoolInProgress(batches, jobs)

    def _try_block(
        self, block: Block, drawn: FileSelection, places: NDArray[np.intp], batches: list[EventRows]
    ) -> _FilledBlock:
        profile = LoaderProfile()
        try:
            self._place_block(block, drawn, places, batches, profile)
        except DataError as error:
            if not self._settings.quarantine:
                raise
            for number, chosen in _by_batch(places // self._batch_size):
                batches[number].weight.numpy()[places[chosen] % self._batch_size] = UNREADABLE
            # The block as a whole is lost, with the events that this epoch has not drawn and those drawn repeatedly.
            selection = self._selections[block.file_index]
            lost = len(selection.selected_between(block.start, block.stop))
            entries = (block.start, block.stop)
            return [Fault.of_error(selection.file, self._tree_name, entries, lost, str(error))], profile
        return [], profile

    def _place_block(
        self,
        block: Block,
        selection: FileSelection,
        places: NDArray[np.intp],
        batches: list[EventRows],
        profile: LoaderProfile,
    ) -> None:
        entries, weights = selection.selected_between(block.start, block.stop), None
        if selection.weights is not None:
            weights = selection.weights_between(block.start, block.stop)
        numbers, rows = np.divmod(places, self._batch_size)
        pieces = self._reader.sensor_pieces(block.file_index, block.start, block.stop)
        while True:
            with profile.measure(DECOMPRESS):
                piece = next(pieces, None)
            profile.move(DECOMPRESS, READ, self._reader.take_read_seconds())
            if piece is None:
                break
            inside = slice(*np.searchsorted(entries, (piece.start, piece.stop)))
            with profile.measure(NORMALIZE):
                if self._settings.counts_npho:
                    profile.npho.add(
                        count_npho(piece.npho[entries[inside] - piece.start], self._settings.normalization)
                    )
                for number, chosen in _by_batch(numbers[inside]):
                    sources, targets = entries[inside][chosen] - piece.start, rows[inside][chosen]
                    self._kernel.fill(piece.npho, piece.time, sources, targets, batches[number])
        with profile.measure(BATCH):
            truth, run, event = self._reader.read_numbers(block.file_index, block.start, block.stop)
        profile.move(BATCH, READ, self._reader.take_read_seconds())
        for number, chosen in _by_batch(numbers):
            into, sources, target = batches[number], entries[chosen] - block.start, rows[chosen]
            for name, values in truth.items():
                into.truth[name].numpy()[target] = values[sources]
            into.run.numpy()[target] = run[sources]
            into.event.numpy()[target] = event[sources]
            if weights is not None:
                into.weight.numpy()[target] = weights[chosen]


def _by_batch(numbers: NDArray[np.intp]) -> list[tuple[int, NDArray[np.intp]]]:
    """Return each batch number with the positions that have it; negative ones are left out."""
    return [(int(number), np.flatnonzero(numbers == number)) for number in np.unique(numbers[numbers >= 0])]
