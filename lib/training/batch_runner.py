"""Runs batches through the model: cut into micro-batches, in autocast, compiled, and again where an attempt failed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic

import torch
from torch import nn

from lib.nn.drop_path import PathDraws
from lib.training.compilation import compiled
from lib.training.config import TrainingConfig
from lib.training.micro_batch import MicroBatching, join_outputs, widest_layer_bytes
from lib.training.precision import autocast
from lib.training.protocol import B, StepOutput, Task


@dataclass(frozen=True)
class Window(Generic[B]):
    """The batches of one optimizer step.

    Attributes:
        batches: As the loader gave them.
        outputs: Loss and sums of each.
    """

    batches: list[B]
    outputs: list[StepOutput]


class BatchRunner(Generic[B]):
    """Scores batches and sums gradients.

    Args:
        model: What is trained; already on the device.
        task: Scores batches.
        config: Settings of the loop.
        device: Where the model is.
    """

    def __init__(self, model: nn.Module, task: Task[B], config: TrainingConfig, device: torch.device) -> None:
        self.micro_batching = MicroBatching(config.micro_batch, device)
        self._eager = model
        self._model = compiled(model, config)
        self._task = task
        self._precision = config.precision
        self._device = device
        self._paths = PathDraws(model)

    def accumulate(self, batches: Iterator[B], count: int, begin: Callable[[], None]) -> Window[B]:
        """Sum the gradients of the mean loss of some batches.

        Args:
            batches: The next ``count`` of them are used.
            count: Batches of one step.
            begin: Called first; forgets older gradients and seeds what is drawn.
        """
        window = [next(batches)]
        self._look_at_model(window[0])
        begin()
        outputs: list[StepOutput] = []
        for index in range(count):
            if index == len(window):
                window.append(next(batches))
            outputs.append(self._backward(window[index], 1.0 / count))
        return Window(window, outputs)

    def _backward(self, batch: B, share: float) -> StepOutput:
        """Add the gradients of one batch, times a share, to those of the parameters."""
        prepared = self._task.prepare(batch.to(self._device), training=True)
        self._paths.draw(batch.num_events, self._device)
        parts: list[StepOutput] = []
        for first, last in self.micro_batching.ranges(batch.num_events):
            self._paths.use_rows(first, last)
            with autocast(self._precision, self._device):
                output = self._task.score(self._model, prepared.rows(first, last))
            (output.loss * share).backward()
            parts.append(StepOutput(output.loss.detach(), output.sums))
        return join_outputs(parts)

    @torch.no_grad()
    def _look_at_model(self, batch: B) -> None:
        """Find out, once, how many events stay in the cache."""
        if not self.micro_batching.is_open:
            return
        one = self._task.prepare(batch.rows(0, 1).to(self._device), training=False)
        self._paths.forget()
        # Not compiled: that would take minutes, for a batch of another shape.
        with autocast(self._precision, self._device):
            widest = widest_layer_bytes(self._eager, lambda: self._task.score(self._eager, one))
        self.micro_batching.fit_cache(widest)

    def evaluate(self, batch: B) -> StepOutput:
        """Score one batch; the model is in evaluation mode."""
        return self._evaluate(self._model, batch)

    def evaluate_eagerly(self, batch: B) -> StepOutput:
        """Score a batch of unusual size; compiling the model for it would take minutes."""
        return self._evaluate(self._eager, batch)

    @torch.no_grad()
    def _evaluate(self, model: nn.Module, batch: B) -> StepOutput:
        self._look_at_model(batch)
        prepared = self._task.prepare(batch.to(self._device), training=False)
        parts: list[StepOutput] = []
        for first, last in self.micro_batching.ranges(batch.num_events):
            with autocast(self._precision, self._device):
                parts.append(self._task.score(model, prepared.rows(first, last)))
        return join_outputs(parts)
