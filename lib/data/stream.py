"""Batches of one dataset in an order that is a function of the epoch alone."""

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar

import torch
from torch.utils.data import DataLoader, Sampler

from lib.data.batch import EventBatch
from lib.data.branches import UVW
from lib.data.config import DataConfig
from lib.data.normalization import Normalization
from lib.data.order import EventOrder, Pool, batch_seed, cut_blocks
from lib.data.paths import resolve_paths
from lib.data.pool import PoolDataset, PoolEvents, PoolFailure
from lib.data.read_ahead import map_ahead
from lib.data.schema import BranchPlan, check_files
from lib.data.selection import FileSelection, select_events
from lib.errors import DataError

logger = logging.getLogger(__name__)

T = TypeVar("T")


def open_stream(
    config: DataConfig,
    normalization: Normalization,
    truth_branches: Sequence[str],
    *,
    split: Literal["train", "validation"],
    seed: int,
) -> "EventStream":
    """Return the checked batches of one split.

    Training batches are shuffled and the last incomplete one is dropped; validation batches keep the order of files
    and entries, and the last one is filled up with rows of weight 0. So all batches have one shape.

    Args:
        config: The data section of the configuration.
        normalization: Applied to every event.
        truth_branches: Truth that the task needs.
        split: Which of the two paths is read.
        seed: Of the order and of ``EventBatch.seed``.

    Raises:
        DataError: With every problem of every file, or if too few events are left.
    """
    plan = required_branches(config, truth_branches)
    files = check_files(resolve_paths(config.train_path if split == "train" else config.val_path), plan)
    selections = select_events(files, plan, config.fiducial_volume())
    stream = EventStream(
        selections,
        config,
        normalization=normalization,
        truth_branches=truth_branches,
        seed=seed,
        training=split == "train",
    )
    num_entries = sum(file.num_entries for file in files)
    logger.info("%s: %d of %d events in %d files", split, stream.num_events, num_entries, len(files))
    return stream


def required_branches(config: DataConfig, truth_branches: Sequence[str]) -> BranchPlan:
    """Return the branches that must be there: those of the batches, and those that the selection looks at."""
    cut_on = () if config.fiducial_volume() is None else (UVW,)
    return BranchPlan.from_config(config, tuple(dict.fromkeys((*truth_branches, *cut_on))))


class EventStream:
    """Batches of the selected events of some files (``lib.training.protocol.BatchStream``).

    With ``num_workers`` 0 a thread of this process fills the next pool while the present one is used; otherwise that
    many processes fill pools ahead and hand them over in shared memory. Order and content are the same. One epoch can
    be under way at a time.

    Attributes:
        selections: Ledger of selected and cut events of each file, in the order of the files.
        num_events: Selected events.
    """

    def __init__(
        self,
        selections: Sequence[FileSelection],
        config: DataConfig,
        *,
        normalization: Normalization,
        truth_branches: Sequence[str],
        seed: int,
        training: bool,
    ) -> None:
        """Prepare the order; nothing is read yet.

        Args:
            selections: The selected events of checked files, sorted by name.
            config: Batch size, pool size, workers and threads.
            normalization: Applied to every event.
            truth_branches: Truth that batches carry.
            seed: Of the order and of ``EventBatch.seed``.
            training: Whether to shuffle and to drop the last incomplete batch, or to keep the order and fill it up.

        Raises:
            DataError: If training has fewer events than one batch.
        """
        self.selections = selections
        blocks = cut_blocks(selections, config.chunksize)
        self._order = EventOrder(blocks, pool_events=config.chunksize, seed=seed, shuffle=training)
        self.num_events = self._order.num_events
        if training and self.num_events < config.batch_size:
            raise DataError(
                f"data.train_path: {self.num_events} selected events in {len(selections)} files are fewer than one "
                f"batch of {config.batch_size}. Lower data.batch_size or give more files."
            )
        self._config = config
        self._seed = seed
        self._training = training
        self._dataset = PoolDataset(
            selections,
            BranchPlan.from_config(config, truth_branches),
            normalization=normalization,
            order=self._order,
            num_threads=config.num_threads,
        )
        self._requests = _Requests()
        self._loader: DataLoader[PoolEvents | PoolFailure] | None = None
        self._epochs_begun = 0

    @property
    def batches_per_epoch(self) -> int:
        """How many batches ``epoch`` yields from the start."""
        whole, rest = divmod(self.num_events, self._config.batch_size)
        return whole if self._training or not rest else whole + 1

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
        pools, skipped = _pools_between(self._order.pools(epoch), first_event, last_event)
        batch = first_batch
        rest: list[PoolEvents] = []
        for events in self._filled(pools):
            if turn != self._epochs_begun:
                raise RuntimeError("another epoch of this stream was begun; use one at a time")
            rest.append(events.slice(skipped, len(events)))
            skipped = 0
            whole, rest = _cut(rest, size)
            for rows in whole:
                yield self._batch(rows, epoch, batch)
                batch += 1
        if rest and not self._training:
            yield self._batch(_join(rest), epoch, batch)

    def _filled(self, pools: list[Pool]) -> Iterator[PoolEvents]:
        if self._config.num_workers == 0:
            yield from map_ahead(self._dataset.fill, pools)
            return
        self._loader = self._loader or self._start_loader()
        self._requests.pools = pools
        failure: PoolFailure | None = None
        for result in self._loader:
            if isinstance(result, PoolFailure):
                failure = result
                break
            yield result
        if failure:
            # The traceback of an error would keep the processes alive for as long as someone holds it.
            self._loader = None
            raise DataError(failure.message)

    def _start_loader(self) -> "DataLoader[PoolEvents | PoolFailure]":
        # A forked child would inherit the locks of this process's threads, and CUDA refuses to run in it. The server
        # imports the libraries once for all its workers.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        return DataLoader(
            self._dataset,
            batch_size=None,
            sampler=self._requests,
            collate_fn=_unchanged,
            num_workers=self._config.num_workers,
            prefetch_factor=self._config.prefetch_factor,
            persistent_workers=True,
            multiprocessing_context=context,
            # Its own generator: otherwise each epoch would advance torch's global one.
            generator=torch.Generator().manual_seed(0),
        )

    def _batch(self, rows: PoolEvents, epoch: int, batch: int) -> EventBatch:
        missing = self._config.batch_size - len(rows)
        weight = torch.ones(self._config.batch_size)
        if missing:
            weight[len(rows) :] = 0.0
            rows = _join([rows, *[rows.slice(0, 1)] * missing])
        return EventBatch(
            x=rows.x,
            valid=rows.valid,
            truth=rows.truth,
            run=rows.run,
            event=rows.event,
            weight=weight,
            seed=batch_seed(self._seed, epoch, batch),
        )


class _Requests(Sampler[Pool]):
    """The pools that the loader's processes are asked for; replaced before each epoch, while the processes stay."""

    def __init__(self) -> None:
        self.pools: list[Pool] = []

    def __iter__(self) -> Iterator[Pool]:
        return iter(self.pools)

    def __len__(self) -> int:
        return len(self.pools)


def _unchanged(result: T) -> T:
    return result


def _pools_between(pools: list[Pool], first: int, last: int) -> tuple[list[Pool], int]:
    """Return the pools that hold the events [first, last) of an epoch, and how many events precede in the first."""
    needed: list[Pool] = []
    skipped = begin = 0
    for pool in pools:
        end = begin + pool.num_events
        if end > first and begin < last:
            skipped = skipped if needed else first - begin
            needed.append(pool)
        begin = end
    return needed, skipped


def _cut(parts: list[PoolEvents], size: int) -> tuple[list[PoolEvents], list[PoolEvents]]:
    """Return whole batches out of consecutive parts, as views where a batch lies in one part, and what remains."""
    whole: list[PoolEvents] = []
    gathered: list[PoolEvents] = []
    missing = size
    for part in parts:
        start = 0
        while len(part) - start >= missing:
            whole.append(_join([*gathered, part.slice(start, start + missing)]))
            start, missing, gathered = start + missing, size, []
        if start < len(part):
            gathered.append(part.slice(start, len(part)))
            missing -= len(part) - start
    return whole, gathered


def _join(parts: list[PoolEvents]) -> PoolEvents:
    if len(parts) == 1:
        return parts[0]
    return PoolEvents(
        x=torch.cat([part.x for part in parts]),
        valid=torch.cat([part.valid for part in parts]),
        truth={name: torch.cat([part.truth[name] for part in parts]) for name in parts[0].truth},
        run=torch.cat([part.run for part in parts]),
        event=torch.cat([part.event for part in parts]),
    )
