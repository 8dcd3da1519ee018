"""What the trainer asks of a task, of its batches and of whoever watches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from lib.training.skip_report import SkipReport


@dataclass(frozen=True)
class StepOutput:
    """What one batch gave.

    Attributes:
        loss: Mean loss over the weighted events of the batch, scalar.
        sums: Sum and count of each metric, scalars on the device of the loss, so that means are exact over ragged
            batches and ranks.
        outputs: What the model said, by name, for whoever watches the validation; detached.
    """

    loss: Tensor
    sums: dict[str, tuple[Tensor, Tensor]]
    outputs: Mapping[str, Tensor] = field(default_factory=dict)


class Batch(Protocol):
    """Events that can move to a device."""

    @property
    def num_events(self) -> int:
        """Rows, padding included."""
        ...

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device."""
        ...


B = TypeVar("B", bound=Batch)
B_contra = TypeVar("B_contra", bound=Batch, contravariant=True)
B_co = TypeVar("B_co", bound=Batch, covariant=True)


class Task(Protocol[B_contra]):
    """What is learnt: a loss and metrics on a batch."""

    @property
    def run_metrics(self) -> frozenset[str]:
        """Metrics of the training itself, logged under their bare name instead of ``train/`` and ``val/``."""
        ...

    def step(self, model: nn.Module, batch: B_contra) -> StepOutput:
        """Run the model on the batch and score it; called for training and for validation alike."""
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

    def step_done(self) -> None:
        """Called between two optimizer steps, when everything may be saved."""
        ...

    def step_skipped(self, report: SkipReport) -> None:
        """Called for each skipped step, up to a logging interval late."""
        ...

    def must_stop(self) -> bool:
        """Return True if the epoch is to be left at once."""
        ...


class Unwatched:
    """Lets every epoch run to its end."""

    def step_done(self) -> None:
        """Save nothing."""

    def step_skipped(self, report: SkipReport) -> None:
        """Write nothing."""

    def must_stop(self) -> bool:
        """Go on."""
        return False
