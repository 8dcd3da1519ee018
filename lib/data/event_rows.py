"""Memory for batches of events, used again as soon as nobody looks at it any more."""

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.data.batch import EventBatch
from lib.data.schema import BRANCH_WIDTHS
from lib.geometry.sensors import NUM_SENSORS

_INPUT_BYTES = NUM_SENSORS * 2 * 4
_VALID_BYTES = NUM_SENSORS * 2

# Starts of rows on cache lines let vector stores run at full width.
_ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class EventRows:
    """Normalized events in their final order; the fields are those of ``EventBatch``, with n rows each."""

    x: Tensor
    valid: Tensor
    truth: dict[str, Tensor]
    run: Tensor
    event: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def copy_rows(self, target: slice, source: "EventRows", rows: slice) -> None:
        """Overwrite some rows with rows of another batch."""
        self.x[target], self.valid[target] = source.x[rows], source.valid[rows]
        self.run[target], self.event[target] = source.run[rows], source.event[rows]
        self.weight[target] = source.weight[rows]
        for name, values in self.truth.items():
            values[target] = source.truth[name][rows]


def as_batch(rows: EventRows, num_events: int, seed: int) -> EventBatch:
    """Return rows as a batch; those beyond the events become copies of the first one with weight 0."""
    if num_events < len(rows):
        rows.copy_rows(slice(num_events, None), rows, slice(0, 1))
        rows.weight[num_events:] = 0.0
    return EventBatch(
        x=rows.x, valid=rows.valid, truth=rows.truth, run=rows.run, event=rows.event, weight=rows.weight, seed=seed
    )


class RowMemory:
    """Lends rows for batches of one size.

    New memory of this size costs as much time, page by page, as writing it, so it is kept. It comes back by itself
    when the last tensor that looks at it is gone: a batch stays valid for as long as someone holds it.
    """

    def __init__(self, num_events: int, truth_branches: Sequence[str]) -> None:
        self._num_events = num_events
        self._truth_branches = truth_branches
        self._free: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()

    def lend(self) -> EventRows:
        """Return uninitialized rows."""
        count = self._num_events
        x, valid = self._lend_sensors()
        truth = {name: torch.empty(count, BRANCH_WIDTHS[name]) for name in self._truth_branches}
        run, event = (torch.empty(count, dtype=torch.int64) for _ in range(2))
        return EventRows(x, valid, truth, run, event, torch.ones(count))

    def _lend_sensors(self) -> tuple[Tensor, Tensor]:
        count = self._num_events
        with self._lock:
            memory = self._free.pop() if self._free else None
        if memory is None:
            memory = np.empty(count * (_INPUT_BYTES + _VALID_BYTES) + _ALIGNMENT, np.uint8)
        # Tensors keep the array alive that they are made from; its end tells that all of them are gone.
        lent = memory[:]
        weakref.finalize(lent, self._give_back, memory)
        begin = -lent.ctypes.data % _ALIGNMENT
        border = begin + count * _INPUT_BYTES
        whole = torch.from_numpy(lent)
        x = whole[begin:border].view(torch.float32).view(count, NUM_SENSORS, 2)
        valid = whole[border : border + count * _VALID_BYTES].view(torch.bool).view(count, NUM_SENSORS, 2)
        return x, valid

    def _give_back(self, memory: NDArray[np.uint8]) -> None:
        with self._lock:
            self._free.append(memory)
