"""Memory for batches of events, used again as soon as nobody looks at it any more."""

import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.data.trees.schema import BRANCH_WIDTHS
from lib.errors import DataError
from lib.geometry.sensors import NUM_SENSORS

_INPUT_BYTES = NUM_SENSORS * 2 * 4
_VALID_BYTES = NUM_SENSORS * 2

# Starts of rows on cache lines let vector stores run at full width.
_ALIGNMENT = 64

# Stands for the weight of an event that could not be read, until its row is replaced.
UNREADABLE: Final = -1.0


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

    def repeat_row(self, row: int, targets: Tensor) -> None:
        """Write copies of one row over others, chosen by a boolean of shape (n,)."""
        for values in (self.x, self.valid, self.run, self.event, self.weight, *self.truth.values()):
            values[targets] = values[row].clone()


def as_batches(
    rows: EventRows,
    num_events: int,
    seed: int,
    *,
    training: bool,
    epoch: int = 0,
    pending: Normalization | None = None,
) -> Iterator[EventBatch]:
    """Yield rows as a batch; those beyond the events, or marked as unreadable, become copies with weight 0.

    Args:
        rows: All rows of the batch.
        num_events: How many of them hold events.
        seed: Of the batch.
        training: Whether a batch without a readable event is an error; otherwise none is yielded. Shuffled batches
            lose only a few events, but in the order of the files neighbours are lost together.
        epoch: Of the batch.
        pending: Normalization that the device applies; see ``EventBatch``.

    Raises:
        DataError: If no event of a training batch is readable.
    """
    usable = torch.nonzero(rows.weight[:num_events] != UNREADABLE)[:, 0]
    if not len(usable):
        if training:
            raise DataError("not one event of a batch can be read. Check the files, or raise data.chunksize.")
        return
    if len(usable) < len(rows):
        left_out = torch.ones(len(rows), dtype=torch.bool)
        left_out[usable] = False
        rows.repeat_row(int(usable[0]), left_out)
        rows.weight[left_out] = 0.0
    yield EventBatch(
        x=rows.x,
        valid=rows.valid,
        truth=rows.truth,
        run=rows.run,
        event=rows.event,
        weight=rows.weight,
        seed=seed,
        epoch=epoch,
        pending=pending,
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
