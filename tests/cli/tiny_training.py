"""Trainings of the real encoder, tiny, on events made up in memory: what a guard must be tried on, quickly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from lib.data.batch import EventBatch
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.models.config import RegressorModelConfig
from lib.models.regressor import Regressor
from lib.tasks.config import TasksConfig
from lib.tasks.regression import RegressionTask
from lib.training.config import TrainingConfig
from lib.training.protocol import Prepared, StepOutput
from lib.training.random_state import seed_initialization
from lib.training.stability.skip_report import Identity
from lib.training.trainer import Trainer

MODEL = {
    "stage_dims": (4,),
    "stage_depths": (1,),
    "inner_patch": 4,
    "encoder_dim": 8,
    "num_heads": 2,
    "dim_feedforward": 8,
    "num_fusion_layers": 1,
    "drop_path_rate": 0.1,
    "hidden_dim": 8,
}
TASKS: dict[str, Any] = {"energy": {"loss_fn": "mse"}, "uvwFI": {"loss_fn": "mse"}}
NORMALIZATION = Normalization.from_config(NormalizationConfig())
BATCH_SIZE = 4
VALIDATION_EVENTS = 64

# What is done to some batches, by their number in the whole training.
Spoil = Mapping[int, "Fault"]


@dataclass(frozen=True)
class Fault:
    """Factors on parts of one batch; NaN and Inf are factors too.

    Attributes:
        x: On the normalized inputs.
        truth: On the truth.
        hot_sensor: On the photon count of one sensor, before the normalization.
        loss: On the loss.
        gradient: On every gradient.
    """

    x: float = 1.0
    truth: float = 1.0
    hot_sensor: float = 1.0
    loss: float = 1.0
    gradient: float = 1.0


def make_batch(number: int, size: int) -> EventBatch:
    """Events whose light falls off with the distance to the conversion point in a made-up space."""
    draw = torch.Generator().manual_seed(number)
    sensors = torch.randn(4760, 3, generator=torch.Generator().manual_seed(0))
    place = torch.rand(size, 3, generator=draw) * 2 - 1
    energy = 0.02 + 0.035 * torch.rand(size, 1, generator=draw)
    light = 1e5 * energy * torch.exp(-0.5 * torch.cdist(place, sensors).square())
    npho = light + 10.0 * torch.rand(size, 4760, generator=draw)
    time = 2e-8 * torch.rand(size, 4760, generator=draw)
    x, valid = NORMALIZATION.apply(npho, time)
    uvw = place * torch.tensor([20.0, 60.0, 5.0]) + torch.tensor([0.0, 0.0, 6.0])
    return EventBatch(
        x=x,
        valid=valid,
        truth={"energyTruth": energy, "uvwTruth": uvw},
        run=torch.zeros(size, dtype=torch.int64),
        event=torch.arange(size) + size * number,
        weight=torch.ones(size),
        seed=number,
    )


def spoilt(batch: EventBatch, fault: Fault) -> EventBatch:
    """Return the batch with the fault in its inputs and truth."""
    x = batch.x * fault.x
    if fault.hot_sensor != 1.0:
        npho = NORMALIZATION.inverse_npho(batch.x[:, 100, 0]) * fault.hot_sensor
        x = x.clone()
        x[:, 100, 0] = NORMALIZATION.apply(npho, npho)[0][..., 0]
    return replace(batch, x=x, truth={name: value * fault.truth for name, value in batch.truth.items()})


class TinyStream:
    """Batches made once, in the same order each epoch but for where they begin."""

    def __init__(self, pool: list[EventBatch], batches_per_epoch: int, spoil: Spoil) -> None:
        self.batches_per_epoch = batches_per_epoch
        self._pool = pool
        self._spoil = spoil

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[EventBatch]:
        for index in range(first_batch, self.batches_per_epoch):
            number = epoch * self.batches_per_epoch + index
            batch = self._pool[number % len(self._pool)]
            # The number tells the task which batch it has.
            yield replace(spoilt(batch, self._spoil.get(number, Fault())), seed=number)


class TinyTask(RegressionTask):
    """Regression with faults in loss and gradient, and with a loss that grows by a factor from batch to batch."""

    def __init__(self, spoil: Spoil, loss_growth: float) -> None:
        super().__init__(TasksConfig.model_validate(TASKS), NORMALIZATION, 0.0)
        self._spoil = spoil
        self._loss_growth = loss_growth

    def score(self, model: nn.Module, prepared: Prepared[EventBatch]) -> StepOutput:
        output = super().score(model, prepared)
        if not model.training:
            return output
        number = prepared.batch.seed
        fault = self._spoil.get(number, Fault())
        loss = output.loss * (fault.loss * self._loss_growth**number)
        if fault.gradient != 1.0:
            loss.register_hook(lambda gradient: gradient * fault.gradient)
        return replace(output, loss=loss)


def tiny_trainer(
    pool: list[EventBatch], batches_per_epoch: int, *, seed: int = 0, spoil: Spoil | None = None, **settings: Any
) -> Trainer[EventBatch]:
    """A training of the regressor; ``loss_growth`` is the factor of the loss from batch to batch."""
    task = TinyTask(spoil or {}, settings.pop("loss_growth", 1.0))
    seed_initialization(seed)
    model = Regressor(
        RegressorModelConfig.model_validate(MODEL), {t.name: t.head_width for t in task.targets}, NORMALIZATION
    )
    defaults = {"epochs": 10, "lr": 2e-3, "amp": "none", "seed": seed, "ema_decay": 0.95}
    return Trainer[EventBatch](
        model,
        task,
        train=TinyStream(pool, batches_per_epoch, spoil or {}),
        validation=TinyStream([make_batch(10**6, VALIDATION_EVENTS)], 1, {}),
        config=TrainingConfig.model_validate({**defaults, **settings}),
        identify=event_numbers,
    )


def event_numbers(batch: EventBatch) -> Identity:
    return {"event": batch.event}
