"""What the trainer asks of a task, of its batches and of whoever watches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from lib.training.stability.rollback import RollbackReport
from lib.training.stability.skip_report import SkipReport


@dataclass(frozen=True)
class StepOutput:
    """What one batch gave.

    Attributes:
        loss: Mean loss over the weighted events of the batch, scalar; of a micro-batch, its share of this mean.
        sums: Sum and count of each metric, scalars on the device of the loss, so that means are exact over ragged
            batches and ranks.
        outputs: What the model said, by name, for whoever watches the validation; detached.
    """

    loss: Tensor
    sums: dict[str, tuple[Tensor, Tensor]]
    outputs: Mapping[str, Tensor] = field(default_factory=dict)


class Batch(Protocol):
    """Events that can move to a device and be cut into smaller batches."""

    @property
    def num_events(self) -> int:
        """Rows, padding included."""
        ...

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device."""
        ...

    def rows(self, first: int, last: int) -> Self:
        """Return the events from ``first`` to before ``last``, as views."""
        ...


B = TypeVar("B", bound=Batch)
B_contra = TypeVar("B_contra", bound=Batch, contravariant=True)
B_co = TypeVar("B_co", bound=Batch, covariant=True)


@dataclass(frozen=True)
class Prepared(Generic[B]):
    """A batch with everything decided that must not depend on how it is cut into micro-batches.

    Attributes:
        batch: The events, as the model will see them.
        drawn: What was drawn for each event, by name, shape (B, ...), such as hidden sensors.
        totals: Weights and counts of the whole batch, by name; what its losses are divided by.
    """

    batch: B
    drawn: Mapping[str, Tensor] = field(default_factory=dict)
    totals: Mapping[str, Tensor] = field(default_factory=dict)

    def rows(self, first: int, last: int) -> "Prepared[B]":
        """Return the events from ``first`` to before ``last``; the totals stay those of the whole."""
        drawn = {name: values[first:last] for name, values in self.drawn.items()}
        return replace(self, batch=self.batch.rows(first, last), drawn=drawn)


class Task(Protocol[B]):
    """What is learnt: a loss and metrics on a batch."""

    @property
    def run_metrics(self) -> frozenset[str]:
        """Metrics of the training itself, logged under their bare name instead of ``train/`` and ``val/``."""
        ...

    def prepare(self, batch: B, *, training: bool) -> Prepared[B]:
        """Draw what is random and sum what losses are divided by, for the whole batch."""
        ...

    def score(self, model: nn.Module, prepared: Prepared[B]) -> StepOutput:
        """Run the model on a prepared batch or on some rows of it.

        The losses of all rows add up to the loss of the batch.
        """
        ...


class BatchStream(Protocol[B_co]):
    """Batches in an order that is a function of the epoch alone."""

    @property
    def batches_per_epoch(self) -> int:
        """How many batches ``epoch`` yields from the start."""
        ...

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[B_co]:
        """Yield the batches of one epoch from a position on, without reading those before it."""
        ...


class Observer(Protocol[B_contra]):
    """Watches the validation; figures, predictions and physics metrics are observers."""

    def validation_batch(self, batch: B_contra, output: StepOutput) -> None:
        """Take in one validated batch."""
        ...

    def validation_end(self, epoch: int) -> dict[str, float]:
        """Return metrics of the whole validation, by name, and forget its events."""
        ...


class Watch(Protocol):
    """Looks after a run while an epoch is under way."""

    def begins(self, phase: str) -> None:
        """Called when something begins that may take long until the next step or batch."""
        ...

    def step_done(self) -> None:
        """Called between two optimizer steps, when everything may be saved."""
        ...

    def step_skipped(self, report: SkipReport) -> None:
        """Called for each skipped step, up to a logging interval late."""
        ...

    def went_back(self, report: RollbackReport) -> None:
        """Called when the training went back to an older state."""
        ...

    def must_stop(self) -> bool:
        """Return True if the epoch is to be left at once."""
        ...


class Unwatched:
    """Lets every epoch run to its end."""

    def begins(self, phase: str) -> None:
        """Wait for it."""

    def step_done(self) -> None:
        """Save nothing."""

    def step_skipped(self, report: SkipReport) -> None:
        """Write nothing."""

    def went_back(self, report: RollbackReport) -> None:
        """Write nothing."""

    def must_stop(self) -> bool:
        """Go on."""
        return False
