"""A batch of events on its way to the network."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib.data.normalization import Normalization


@dataclass(frozen=True)
class EventBatch:
    """Normalized sensors of B events, with what is known of them.

    Attributes:
        x: Normalized photon count and time of each sensor, shape (B, 4760, 2), float32; sentinels where invalid.
        valid: True where a value was measured, shape (B, 4760, 2).
        truth: Truth by branch name (``lib.data.branches``), float32, shape (B, width) each, also for width 1.
        run: Run number, shape (B,), int64.
        event: Event number, shape (B,), int64.
        weight: Weight of each event in losses and means, shape (B,); 0 for rows that only fill up the last batch.
        seed: Seed for whatever is drawn for this batch, such as masks: a function of data seed, epoch and batch number.
        epoch: Which one the batch belongs to, for what changes in the course of a training.
        pending: Normalization that ``to`` will apply; until then ``x`` holds photons and seconds, 1e10 where
            there is no valid value. None when the inputs are normalized.
    """

    x: Tensor
    valid: Tensor
    truth: dict[str, Tensor]
    run: Tensor
    event: Tensor
    weight: Tensor
    seed: int
    epoch: int = 0
    pending: Normalization | None = None

    @property
    def num_events(self) -> int:
        """Rows of the batch, padding included."""
        return len(self.x)

    def to(self, device: torch.device) -> "EventBatch":
        """Return the batch on a device, normalized there if that is pending; copies from pinned memory do not wait."""
        # What is valid follows from the readings, so it need not be sent.
        names = [name for name in _TENSORS if self.pending is None or name != "valid"]
        tensors = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        if self.pending is not None:
            tensors["x"], tensors["valid"] = self.pending.apply(*tensors["x"].unbind(dim=-1))
        truth = {name: value.to(device, non_blocking=True) for name, value in self.truth.items()}
        return replace(self, truth=truth, pending=None, **tensors)

    def rows(self, first: int, last: int) -> "EventBatch":
        """Return the events from ``first`` to before ``last``, as views; the seed stays that of the whole batch."""
        tensors = {name: getattr(self, name)[first:last] for name in _TENSORS}
        return replace(self, truth={name: value[first:last] for name, value in self.truth.items()}, **tensors)

    def pin_memory(self) -> "EventBatch":
        """Return the batch in page-locked memory."""
        tensors = {name: getattr(self, name).pin_memory() for name in _TENSORS}
        return replace(self, truth={name: value.pin_memory() for name, value in self.truth.items()}, **tensors)


_TENSORS = ("x", "valid", "run", "event", "weight")
