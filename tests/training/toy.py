"""A small problem for the training loop: a line through noisy points."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lib.training.config import TrainingConfig
from lib.training.protocol import Prepared, StepOutput
from lib.training.random_state import seed_initialization
from lib.training.trainer import Trainer


@dataclass(frozen=True)
class ToyBatch:
    x: Tensor
    y: Tensor

    @property
    def num_events(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> "ToyBatch":
        return replace(self, x=self.x.to(device), y=self.y.to(device))

    def rows(self, first: int, last: int) -> "ToyBatch":
        return replace(self, x=self.x[first:last], y=self.y[first:last])


class ToyStream:
    """Batches that depend on epoch and number alone; some may be poisoned or left out."""

    def __init__(self, num_batches: int = 8, poisoned: tuple[int, ...] = (), value: float = float("nan")) -> None:
        self.batches_per_epoch = num_batches
        self._poisoned = poisoned
        self._value = value

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[ToyBatch]:
        for index in range(first_batch, self.batches_per_epoch):
            generator = torch.Generator().manual_seed(1000 * epoch + index)
            x = torch.randn(16, 4, generator=generator)
            y = x.sum(dim=1, keepdim=True) + 0.1 * torch.randn(16, 1, generator=generator)
            if index in self._poisoned:
                x = torch.full_like(x, self._value)
            yield ToyBatch(x, y)


class ToyTask:
    run_metrics = frozenset({"actual_share"})

    def prepare(self, batch: ToyBatch, *, training: bool) -> Prepared[ToyBatch]:
        return Prepared(batch, totals={"events": torch.tensor(float(len(batch.x)))})

    def score(self, model: nn.Module, prepared: Prepared[ToyBatch]) -> StepOutput:
        batch = prepared.batch
        prediction = model(batch.x).float()
        summed = (prediction - batch.y).square().sum()
        count = torch.tensor(float(len(batch.x)))
        sums = {"loss": (summed, count), "actual_share": (count / 2, count)}
        return StepOutput(summed / prepared.totals["events"], sums, {"prediction": prediction.detach()})


class ToyObserver:
    def __init__(self) -> None:
        self.events = 0

    def validation_batch(self, batch: ToyBatch, output: StepOutput) -> None:
        self.events += len(output.outputs["prediction"])

    def validation_end(self, epoch: int) -> dict[str, float]:
        return {"val_events": float(self.events), "val_epoch": float(epoch)}


def toy_model() -> nn.Module:
    seed_initialization(0)
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(0.1), nn.Linear(8, 1))


def toy_trainer(
    train: ToyStream | None = None, observer: ToyObserver | None = None, **settings: Any
) -> Trainer[ToyBatch]:
    defaults = {"epochs": 4, "lr": 1e-2, "amp": "none", "grad_clip": 10.0}
    return Trainer[ToyBatch](
        toy_model(),
        ToyTask(),
        train=train or ToyStream(),
        validation=ToyStream(num_batches=2),
        config=TrainingConfig(**{**defaults, **settings}),
        observers=[observer] if observer else [],
    )


def guard_knowledge(trainer: Trainer[ToyBatch]) -> str:
    """All that the guard knows, as text to the last digit: NaN equals NaN in it."""
    torch.set_printoptions(precision=17, threshold=10_000)
    try:
        return str(trainer.state()["guard"])
    finally:
        torch.set_printoptions(profile="default")


def weights_of(trainer: Trainer[ToyBatch]) -> dict[str, Tensor]:
    """Everything that a step may change, by name: weights, averages, moments."""
    state = trainer.state()
    moments = {
        f"optimizer.{index}.{name}": value
        for index, entry in state["optimizer"]["state"].items()
        for name, value in entry.items()
    }
    averages = {f"average.{name}": value for name, value in state["average"].items()}
    return {name: value.clone() for name, value in {**state["model"], **averages, **moments}.items()}
