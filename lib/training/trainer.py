"""The training loop: one for every task."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import Tensor, nn

from lib.errors import ConfigError
from lib.training.compilation import compiled
from lib.training.config import TrainingConfig
from lib.training.ema import WeightAverage
from lib.training.guard import Guard
from lib.training.meters import MeanMeters
from lib.training.optimizer import build_optimizer, set_learning_rate
from lib.training.precision import autocast
from lib.training.progress import EpochProgress, epoch_progress
from lib.training.protocol import B, BatchStream, Observer, StepOutput, Task
from lib.training.random_state import seed_step
from lib.training.schedule import Schedule

logger = logging.getLogger(__name__)

SHOW_EVERY = 20


class SkipCapError(Exception):
    """A whole epoch went by without a single step that could be applied."""


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epochs_done: Finished epochs.
        steps_done: Optimizer steps, skipped ones included.
        schedule_start: Step at which the learning-rate schedule began.
        best: Lowest validation loss so far.
    """

    epochs_done: int = 0
    steps_done: int = 0
    schedule_start: int = 0
    best: float = float("inf")


class Trainer(Generic[B]):
    """Trains a model on batches and validates it after each epoch.

    Args:
        model: What is trained; already on the device.
        task: Scores batches.
        train: Training batches, all of one shape.
        validation: Validation batches.
        config: Settings of the loop.
        observers: Watch each validation.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task[B],
        *,
        train: BatchStream[B],
        validation: BatchStream[B],
        config: TrainingConfig,
        observers: Sequence[Observer[B]] = (),
    ) -> None:
        self.model = model
        self.progress = Progress()
        self._task = task
        self._train = train
        self._validation = validation
        self._config = config
        self._observers = observers
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._device = self._parameters[0].device
        self._compiled = compiled(model, config)
        self._guard = Guard(config.grad_clip, self._device)
        self.optimizer = build_optimizer(model, lr=config.lr, weight_decay=config.weight_decay)
        self.average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        self._steps_per_epoch = train.batches_per_epoch // config.grad_accum_steps
        if self._steps_per_epoch == 0:
            raise ConfigError(
                f"training.grad_accum_steps: one step takes {config.grad_accum_steps} batches, but an epoch has "
                f"{train.batches_per_epoch}. Lower grad_accum_steps or data.batch_size."
            )

    @property
    def _schedule(self) -> Schedule:
        config = self._config
        return Schedule(
            kind=config.lr_scheduler,
            peak=config.lr,
            floor=config.lr_min,
            warmup_steps=round(config.warmup_epochs * self._steps_per_epoch),
            total_steps=config.epochs * self._steps_per_epoch,
            first_step=self.progress.schedule_start,
        )

    def run_epoch(self) -> dict[str, float]:
        """Train and validate one epoch and return its metrics.

        Raises:
            SkipCapError: If not one step of the epoch could be applied.
        """
        epoch = self.progress.epochs_done
        metrics = self._train_epoch(epoch)
        metrics |= self.validate(epoch)
        self.progress.epochs_done = epoch + 1
        return metrics

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        self.model.train()
        meters = MeanMeters()
        schedule = self._schedule
        batches = self._train.epoch(epoch)
        waiting = 0.0
        with epoch_progress(f"epoch {epoch + 1}/{self._config.epochs}", self._train.batches_per_epoch) as progress:
            for step_of_epoch in range(self._steps_per_epoch):
                set_learning_rate(self.optimizer, schedule.learning_rate(self.progress.steps_done))
                waiting += self._step(batches, meters, progress)
                if step_of_epoch % SHOW_EVERY == 0:
                    progress.show(f"loss {meters.means().get('loss', float('nan')):.4g}")
            seconds = max(progress.seconds, 1e-9)
            rate = progress.events_per_second
        metrics = self._named("train", meters.means())
        metrics |= {"train/events_per_second": rate, "train/data_wait_share": waiting / seconds}
        return metrics | self._guard_metrics() | {"lr": schedule.learning_rate(self.progress.steps_done - 1)}

    def _step(self, batches: Iterator[B], meters: MeanMeters, progress: EpochProgress) -> float:
        """Take one optimizer step over an accumulation window; return the seconds spent waiting for data."""
        seed_step(self._config.seed, self.progress.steps_done)
        self.optimizer.zero_grad(set_to_none=True)
        waiting = 0.0
        for _ in range(self._config.grad_accum_steps):
            start = time.perf_counter()
            batch = next(batches)
            waiting += time.perf_counter() - start
            output = self._forward(batch)
            (output.loss / self._config.grad_accum_steps).backward()
            finite = self._guard.see_loss(output.loss)
            meters.add(output.sums, included=finite)
            progress.advance(batch.num_events)
        accepted = self._guard.judge(self._parameters)
        self._apply(accepted)
        return waiting

    def _forward(self, batch: B) -> StepOutput:
        with autocast(self._config.precision, self._device):
            return self._task.step(self._compiled, batch.to(self._device))

    def _apply(self, accepted: Tensor) -> None:
        # The fused optimizer reads these two on the device and leaves everything as it was where found_inf is 1.
        self.optimizer.grad_scale = torch.ones((), device=self._device)  # type: ignore[attr-defined]
        self.optimizer.found_inf = 1.0 - accepted  # type: ignore[attr-defined]
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.progress.steps_done, accepted)
        self.progress.steps_done += 1

    def _guard_metrics(self) -> dict[str, float]:
        seen = self._guard.summary()
        if seen.skipped == seen.steps:
            raise SkipCapError(
                f"all {seen.steps} steps of the epoch had a loss or a gradient that is not finite; nothing was learnt. "
                "Look at the data with lib.check, or lower training.lr."
            )
        if seen.skipped:
            logger.warning("skipped %d of %d steps: loss or gradient was not finite", seen.skipped, seen.steps)
        return {
            "grad_norm_max": seen.norm_max,
            "grad_norm_median": seen.norm_median,
            "skipped_steps": float(seen.skipped),
        }

    def validate(self, epoch: int) -> dict[str, float]:
        """Return the validation metrics of the averaged weights, or of the trained ones without averaging."""
        if self.average is None:
            return self._validate(epoch)
        with self.average.swapped():
            return self._validate(epoch)

    @torch.no_grad()
    def _validate(self, epoch: int) -> dict[str, float]:
        self.model.eval()
        meters = MeanMeters()
        with epoch_progress("validation", self._validation.batches_per_epoch) as progress:
            # Validation always sees the order and the masks of epoch 0, so that its metrics can be compared.
            for batch in self._validation.epoch(0):
                output = self._forward(batch)
                meters.add(output.sums)
                for observer in self._observers:
                    observer.validation_batch(batch, output)
                progress.advance(batch.num_events)
        metrics = self._named("val", meters.means())
        metrics = {name: value for name, value in metrics.items() if name not in self._task.run_metrics}
        for observer in self._observers:
            metrics |= observer.validation_end(epoch)
        return metrics

    def _named(self, split: str, means: dict[str, float]) -> dict[str, float]:
        bare = self._task.run_metrics
        return {name if name in bare else f"{split}/{name}": value for name, value in means.items()}

    def state(self) -> dict[str, Any]:
        """Return weights, averages and optimizer state, as checkpoints hold them."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "optimizer": self.optimizer.state_dict(),
        }
