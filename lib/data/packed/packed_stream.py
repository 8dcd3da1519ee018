"""Batches taken from the packed cache, every event anywhere in the epoch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import torch
from numpy.typing import NDArray

from lib.data.batch import EventBatch
from lib.data.branches import RUN
from lib.data.choice.chosen_events import ChosenEvents
from lib.data.choice.order import batch_seed, permutation
from lib.data.choice.quarantine import Fault, LedgerRow
from lib.data.choice.selection import FileSelection
from lib.data.config import DataConfig
from lib.data.normalization import Normalization
from lib.data.npho_count import NphoCount
from lib.data.packed.packed_file import PackedEvents
from lib.data.packed.packed_kernel import IndexArray, PackedSet, packed_kernel
from lib.data.pools.event_rows import UNREADABLE, EventRows, RowMemory, as_batches
from lib.data.pools.read_ahead import map_ahead
from lib.errors import DataError

# Batches that are unpacked or waiting beside the one in use.
_AHEAD = 2


class PackedStream:
    """Batches from packed files (``lib.data.stream.EventStream``); training shuffles all events with each other.

    Threads of this process unpack; processes would bring nothing.
    """

    def __init__(
        self,
        chosen: ChosenEvents,
        packed: Sequence[PackedEvents],
        config: DataConfig,
        normalization: Normalization,
    ) -> None:
        """Prepare the order.

        Args:
            chosen: The events, and how they are drawn.
            packed: The packed events of the same files.
            config: Batch size and threads.
            normalization: The one that the files were packed with.

        Raises:
            DataError: If truth is wanted that is not kept in packed files.
        """
        self.selections = chosen.selections
        self._chosen = chosen
        self._config = config
        self._set = PackedSet([file.rows for file in packed])
        self._events = _selected(chosen.selections, self._set)
        self.num_events = len(self._events)
        self._weights = torch.from_numpy(np.concatenate([_weights_of(selection) for selection in chosen.selections]))
        self._truth = {name: torch.from_numpy(_truth_of(packed, name)) for name in chosen.plan.truth_branches}
        self._run = torch.from_numpy(np.concatenate(_run_numbers(chosen.selections, packed)))
        self._event = torch.from_numpy(np.concatenate([file.event for file in packed]))
        self._memory = RowMemory(config.batch_size, chosen.plan.truth_branches)
        sentinels = (normalization.sentinel_npho, normalization.sentinel_time)
        self._kernel = packed_kernel(sentinels, compiled=config.compiled)
        self._npho_count = NphoCount()
        self._executor = ThreadPoolExecutor(config.num_threads, "unpack")

    @property
    def batches_per_epoch(self) -> int:
        """See ``EventStream``."""
        return self._chosen.num_batches(self._config.batch_size)

    def ledger(self) -> list[LedgerRow]:
        """See ``EventStream``."""
        return self._chosen.quarantine.ledger()

    def npho_count(self) -> NphoCount | None:
        """See ``EventStream``; what lies below the domain is not known."""
        return self._npho_count if self._config.log_invalid_npho else None

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[EventBatch]:
        """See ``EventStream``; any number of epochs may be under way."""
        drawn = self._chosen.draw.of_epoch(epoch)
        events = self._events if drawn is self.selections else _selected(drawn, self._set)
        order = np.arange(self.num_events)
        if self._chosen.training:
            order = permutation(self.num_events, self._chosen.seed, epoch, 0)
        size = self._config.batch_size
        batches = range(first_batch, self.batches_per_epoch)
        # Weights go with positions among the selected events; a draw with repetitions has none.
        filled = map_ahead(
            lambda batch: self._fill(events, order[batch * size : (batch + 1) * size]), batches, ahead=_AHEAD
        )
        self._npho_count = npho_count = NphoCount()
        for batch, (rows, faults) in zip(batches, filled, strict=True):
            self._chosen.quarantine.add(faults)
            num_events = min(size, self.num_events - batch * size)
            if self._config.log_invalid_npho:
                npho_valid = rows.valid[:num_events, :, 0]
                npho_count.add(NphoCount(npho_valid.numel(), int((~npho_valid).sum()), None))
            seed = batch_seed(self._chosen.seed, epoch, batch)
            yield from as_batches(rows, num_events, seed, training=self._chosen.training, epoch=epoch)

    def _fill(self, drawn: IndexArray, positions: IndexArray) -> tuple[EventRows, list[Fault]]:
        rows = self._memory.lend()
        events = drawn[positions]
        targets = np.arange(len(events))
        parts = np.array_split(targets, self._config.num_threads)
        jobs = [self._executor.submit(self._unpack, events[part], part, rows) for part in parts if len(part)]
        wait(jobs)
        faults = [fault for job in jobs for fault in job.result()]
        marked = torch.from_numpy(targets)[rows.weight[: len(events)] == UNREADABLE]
        count, chosen = len(events), torch.from_numpy(events)
        rows.run[:count], rows.event[:count] = self._run[chosen], self._event[chosen]
        rows.weight[:count] = self._weights[torch.from_numpy(positions)]
        rows.weight[marked] = UNREADABLE
        for name, values in self._truth.items():
            rows.truth[name][:count] = values[chosen]
        return rows, faults

    def _unpack(self, events: IndexArray, targets: IndexArray, into: EventRows) -> list[Fault]:
        faults = []
        begin = 0
        while (damaged := self._kernel.unpack(self._set, events[begin:], targets[begin:], into)) >= 0:
            begin += damaged + 1
            into.weight[targets[begin - 1]] = UNREADABLE
            faults.append(self._fault(int(events[begin - 1])))
        return faults

    def _fault(self, row: int) -> Fault:
        files, places = self._set.locate(np.array([row]))
        source, entry = str(self.selections[int(files[0])].file.path), int(places[0])
        message = (
            f"{source}: entry {entry} of its packed copy in {self._config.cache_dir} is damaged; its sum differs. "
            "Remove the copy, and suspect the disk."
        )
        if self._config.on_bad == "error":
            raise DataError(message)
        tree = self._config.tree_name
        return Fault(source, tree, "", entry, entry + 1, 1, message)


def _selected(selections: Sequence[FileSelection], packed: PackedSet) -> IndexArray:
    files = zip(selections, packed.starts, strict=False)
    return np.concatenate([start + one.selected_between(0, one.file.num_entries) for one, start in files])


def _weights_of(selection: FileSelection) -> NDArray[np.float32]:
    return np.ones(selection.num_selected, np.float32) if selection.weights is None else selection.weights


def _truth_of(packed: Sequence[PackedEvents], name: str) -> NDArray[np.float32]:
    if any(name not in file.truth for file in packed):
        raise DataError(f"the packed cache does not keep {name!r}. Set data.cache: off.")
    return np.concatenate([file.truth[name] for file in packed])


def _run_numbers(selections: Sequence[FileSelection], packed: Sequence[PackedEvents]) -> list[NDArray[np.int64]]:
    """Return the run of each event; without one, the position of the file among all files."""
    numbers = []
    for index, (selection, file) in enumerate(zip(selections, packed, strict=True)):
        numbers.append(file.run if selection.file.has_number(RUN) else np.full(len(file.run), index))
    return numbers
