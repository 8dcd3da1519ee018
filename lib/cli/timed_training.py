"""A training that is as long as a given time allows."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from torch import nn

from lib.cli.assembly import assemble
from lib.cli.schemas import InpainterConfig, MaeConfig, RegressorConfig
from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.data.stream import open_stream
from lib.errors import ConfigError
from lib.training.machine.device import choose_device
from lib.training.protocol import BatchStream, Unwatched
from lib.training.random_state import seed_initialization
from lib.training.records.provenance import code_revision
from lib.training.saving.checkpoint import Checkpoint
from lib.training.trainer import InterruptedEpochError, Trainer

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
Form = Callable[[nn.Module], nn.Module]
C = TypeVar("C", RegressorConfig, MaeConfig, InpainterConfig)

_WARM_STEPS, _TIMED_STEPS = 5, 80


def _as_built(model: nn.Module) -> nn.Module:
    return model


def processor_clock(cores: int) -> Clock:
    """Return a clock that runs as fast as this process uses ``cores`` cores: seconds that a free machine would take."""
    return lambda: time.process_time() / cores


@dataclass(frozen=True)
class TimedTraining(Generic[C]):
    """A training that has ended.

    Attributes:
        trainer: With the trained model.
        config: As it was trained, epochs included.
        seconds: Time that it took.
        metrics: Of the last validation.
    """

    trainer: Trainer[EventBatch]
    config: C
    seconds: float
    metrics: dict[str, float]


def save_trained(training: TimedTraining[C], path: Path) -> None:
    """Write the model as a checkpoint that every command reads; a training cannot go on from it."""
    config, trainer = training.config, training.trainer
    about = {
        "normalization": Normalization.from_config(config.normalization).as_dict(),
        "branches": {"npho": config.data.npho_branch, "time": config.data.time_branch},
        "revision": code_revision(),
    }
    Checkpoint(
        kind=config.kind,
        config=config.model_dump(mode="json"),
        about=about,
        model=trainer.model.state_dict(),
        average=trainer.average.state_dict() if trainer.average else {},
        optimizer={},
        run_key="",
        metrics={},
        **vars(trainer.progress),
    ).save(path)


class _StepClock(Unwatched):
    """Notes the time of each step and stops after a few."""

    def __init__(self, clock: Clock) -> None:
        self.times: list[float] = []
        self._clock = clock

    def step_done(self) -> None:
        self.times.append(self._clock())

    def must_stop(self) -> bool:
        return len(self.times) > _WARM_STEPS + _TIMED_STEPS


class _EarlyEnd:
    """A stream whose epochs end before all events were seen; which ones are left out differs from epoch to epoch."""

    def __init__(self, stream: BatchStream[EventBatch], batches: int) -> None:
        self.batches_per_epoch = batches
        self._stream = stream

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[EventBatch]:
        """Yield the batches of one epoch; whoever counts them stops early."""
        return self._stream.epoch(epoch, first_batch)


def train_within(config: C, seconds: float, clock: Clock, *, form: Form = _as_built) -> TimedTraining[C]:
    """Train for as many steps as fit into a time, by the speed of the first ones, in epochs of equal length.

    The schedule ends with the time, whatever the number of events: with time for 3.4 epochs, 4 are trained that end
    after 85 % of the events.

    Args:
        config: What is trained; its number of epochs is not used.
        seconds: Time of all steps and validations together.
        clock: By which it is measured.
        form: Puts the fresh model into another form, with the same weights.

    Raises:
        ConfigError: If not a single step fits, or an epoch has too few to be timed.
    """
    trial, train = _trainer(config, form)
    watch = _StepClock(clock)
    with suppress(InterruptedEpochError):
        trial.run_epoch(watch)
    timed = watch.times[_WARM_STEPS:]
    if len(timed) < 2:
        raise ConfigError(f"data.batch_size: an epoch has {len(watch.times)} steps, too few to time. Lower it.")
    per_step = (timed[-1] - timed[0]) / (len(timed) - 1)
    steps = int(seconds / per_step)
    if steps == 0:
        raise ConfigError(
            f"data.batch_size: one step takes {per_step:.3g} seconds, and {seconds:.3g} are allowed. "
            "Lower it, or give more time."
        )
    per_epoch = train.batches_per_epoch // config.training.grad_accum_steps
    epochs = math.ceil(steps / per_epoch)
    logger.info("%.3g seconds a step: %d steps in %d epochs", per_step, steps, epochs)
    warmup = config.training.warmup_epochs
    shortened = None if warmup is None else min(warmup, float(epochs))
    training = config.training.model_copy(update={"epochs": epochs, "warmup_epochs": shortened})
    final = config.model_copy(update={"training": training})
    trainer, _ = _trainer(final, form, batches=steps // epochs * config.training.grad_accum_steps)
    begin, metrics = clock(), dict[str, float]()
    for _ in range(epochs):
        metrics = trainer.run_epoch()
        logger.info("epoch %d: val/loss %.4g", trainer.progress.epochs_done, metrics["val/loss"])
    return TimedTraining(trainer, final, clock() - begin, metrics)


def _trainer(config: C, form: Form, batches: int | None = None) -> tuple[Trainer[EventBatch], BatchStream[EventBatch]]:
    """Return a fresh trainer and what it trains on: all events in each epoch, or the first batches of its order."""
    normalization = Normalization.from_config(config.normalization)
    seed_initialization(config.training.seed)
    parts = assemble(config, normalization)
    model = form(parts.model).to(choose_device(config.training.cpu_threads))
    truth, seed = parts.task.truth_branches, config.training.seed
    train: BatchStream[EventBatch] = open_stream(config.data, normalization, truth, split="train", seed=seed)
    if batches is not None:
        train = _EarlyEnd(train, batches)
    trainer = Trainer[EventBatch](
        model,
        parts.task,
        train=train,
        validation=open_stream(config.data, normalization, truth, split="validation", seed=seed),
        config=config.training,
        observers=parts.observers,
        begin_epoch=parts.begin_epoch,
    )
    return trainer, train
