"""Filling a pool: read its blocks, normalize them, and put every event into its row."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lib.data.normalization import Normalization
from lib.data.order import Block, EventOrder, Pool
from lib.data.schema import BRANCH_WIDTHS, BranchPlan
from lib.data.selection import FileSelection
from lib.data.source import EventReader
from lib.errors import DataError
from lib.geometry.sensors import NUM_SENSORS

# Events per call of the normalization; temporaries of this size stay in the cache.
SLICE_EVENTS = 16


@dataclass(frozen=True, eq=False)
class PoolEvents:
    """Normalized events in their final order; the fields are those of ``EventBatch``, with n rows each."""

    x: Tensor
    valid: Tensor
    truth: dict[str, Tensor]
    run: Tensor
    event: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def slice(self, start: int, stop: int) -> "PoolEvents":
        """Return the rows [start, stop) as views."""
        truth = {name: values[start:stop] for name, values in self.truth.items()}
        return PoolEvents(
            self.x[start:stop], self.valid[start:stop], truth, self.run[start:stop], self.event[start:stop]
        )


@dataclass(frozen=True)
class PoolFailure:
    """Why a pool could not be filled; an exception would arrive from a worker with its traceback in the message."""

    message: str


class PoolDataset(Dataset[PoolEvents | PoolFailure]):
    """Pools by request; lives in the training process or, pickled, in each loader process."""

    def __init__(
        self,
        selections: Sequence[FileSelection],
        plan: BranchPlan,
        *,
        normalization: Normalization,
        order: EventOrder,
        num_threads: int,
    ) -> None:
        self._selections = selections
        self._plan = plan
        self._normalization = normalization
        self._order = order
        self._num_threads = num_threads
        self._reader: EventReader | None = None

    def __getitem__(self, pool: Pool) -> PoolEvents | PoolFailure:
        """Return the events of a pool, or what went wrong with the files."""
        try:
            return self.fill(pool)
        except DataError as error:
            return PoolFailure(str(error))

    def fill(self, pool: Pool) -> PoolEvents:
        """Read and normalize a pool in threads, one block each at a time; raises ``DataError``."""
        # Opened where it is used: open files do not travel to other processes.
        reader = self._reader = self._reader or EventReader(
            [selection.file for selection in self._selections], self._plan
        )
        rows = self._order.rows(pool)
        borders = np.cumsum([0, *(block.num_events for block in pool.blocks)])
        destinations = [rows[a:b] for a, b in pairwise(borders)]
        events = _empty(pool.num_events, self._plan)
        # A logarithm that starts a team of threads inside each of ours takes a hundred times longer on busy cores. The
        # setting is one of the thread, but threads begun later inherit it, so it is taken back.
        inherited = torch.get_num_threads()
        with ThreadPoolExecutor(self._num_threads, initializer=torch.set_num_threads, initargs=(1,)) as executor:
            jobs = [
                executor.submit(self._place, reader, block, destination, events)
                for block, destination in zip(pool.blocks, destinations, strict=True)
            ]
            for job in jobs:
                job.result()
        torch.set_num_threads(inherited)
        return events

    def _place(self, reader: EventReader, block: Block, rows: NDArray[np.intp], into: PoolEvents) -> None:
        raw = reader.read(block.file_index, block.start, block.stop)
        selection = self._selections[block.file_index]
        chosen = selection.selected_between(block.start, block.stop) - block.start
        npho, time = torch.from_numpy(raw.npho), torch.from_numpy(raw.time)
        entries, target = torch.from_numpy(chosen), torch.from_numpy(rows)
        for start in range(0, len(chosen), SLICE_EVENTS):
            some, here = entries[start : start + SLICE_EVENTS], target[start : start + SLICE_EVENTS]
            channels = self._normalization.channels(npho[some], time[some])
            into.x[here, :, 0], into.x[here, :, 1], into.valid[here, :, 0], into.valid[here, :, 1] = channels
        for name, values in raw.truth.items():
            into.truth[name][target] = torch.from_numpy(values)[entries]
        into.run[target] = torch.from_numpy(raw.run)[entries]
        into.event[target] = torch.from_numpy(raw.event)[entries]


def _empty(num_events: int, plan: BranchPlan) -> PoolEvents:
    sensors = (num_events, NUM_SENSORS, 2)
    return PoolEvents(
        x=torch.empty(sensors),
        valid=torch.empty(sensors, dtype=torch.bool),
        truth={name: torch.empty(num_events, BRANCH_WIDTHS[name]) for name in plan.truth_branches},
        run=torch.empty(num_events, dtype=torch.int64),
        event=torch.empty(num_events, dtype=torch.int64),
    )
