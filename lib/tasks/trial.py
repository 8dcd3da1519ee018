"""What the checks of a training look at, and what they say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.tasks.targets import Target
from lib.training.protocol import Prepared, StepOutput


class TriedTask(Protocol):
    """A task as the trainer knows it."""

    def prepare(self, batch: EventBatch, *, training: bool) -> Prepared[EventBatch]:
        """Draw what is random for a whole batch."""
        ...

    def score(self, model: nn.Module, prepared: Prepared[EventBatch]) -> StepOutput:
        """Run the model on a prepared batch."""
        ...


@dataclass(frozen=True)
class Trial:
    """A training that is about to start.

    Attributes:
        build: Returns the model with its first weights, the same each time.
        task: Scores it.
        targets: What a regressor learns; empty for models that restore sensors.
        train: Training events in one batch.
        held_out: Validation events in one batch.
        normalization: Made the inputs.
        build_optimizer: Returns the optimizer of a model.
        learning_rates: The schedule's, at places all over the training.
        encoder_is_frozen: Whether the configuration asks for it.
    """

    build: Callable[[], nn.Module]
    task: TriedTask
    targets: Sequence[Target]
    train: EventBatch
    held_out: EventBatch
    normalization: Normalization
    build_optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    learning_rates: Sequence[float]
    encoder_is_frozen: bool = False


@dataclass(frozen=True)
class Verdict:
    """What one check says.

    Attributes:
        check: Its name.
        passed: Whether all is well.
        number: What it measured.
        words: What the number is, what is expected, and what is probably wrong.
    """

    check: str
    passed: bool
    number: float
    words: str


def score(trial: Trial, model: nn.Module, batch: EventBatch) -> StepOutput:
    """Return what a model in evaluation gets for a batch; nothing random but masks is drawn, from the batch's seed."""
    return trial.task.score(model, trial.task.prepare(batch, training=False))
