"""Spikes in the training of the real encoder: none reaches the validation, no healthy step is skipped.

The short form plants each spike into one training of 140 steps; the slow one into those of other seeds, and five seeds
train for 2000 healthy steps.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from lib.data.batch import EventBatch
from lib.training.position import Progress
from lib.training.protocol import Unwatched
from lib.training.stability.skip_report import SkipReport
from lib.training.trainer import InterruptedEpochError, Trainer
from tests.cli.tiny_training import BATCH_SIZE, Fault, Spoil, make_batch, tiny_trainer

POOL = [make_batch(number, BATCH_SIZE) for number in range(128)]
STEPS_PER_EPOCH = 20
# A training from its beginning to its end.
WHOLE: dict[str, Any] = {"epochs": 100, "lr": 1e-3, "lr_scheduler": "cosine", "warmup_epochs": 5.0}


def shapes(step: int) -> dict[str, Spoil]:
    """The four kinds of spikes, planted at a step."""
    return {
        "scaled input": {step: Fault(x=30.0)},
        "scaled truth": {step: Fault(truth=1000.0)},
        "hot sensor": {step: Fault(hot_sensor=1e6)},
        "eight bad batches": {step + offset: Fault(x=30.0, truth=100.0) for offset in range(8)},
    }


@dataclass
class Course(Unwatched):
    """What a training came to.

    Attributes:
        losses: Validation loss after each epoch.
        norms: Gradient norm of each step.
        skipped: Steps that were skipped.
    """

    losses: list[float]
    norms: list[float]
    skipped: list[int]

    def step_skipped(self, report: SkipReport) -> None:
        self.skipped.append(report.step)

    def run(self, trainer: Trainer[EventBatch], epochs: int) -> "Course":
        for _ in range(epochs):
            epoch = trainer._sums
            metrics = trainer.run_epoch(self)
            self.losses.append(metrics["val/loss"])
            self.norms += epoch.norms.tolist()
        return self


def begin(seed: int, spoil: Spoil | None = None, **settings: Any) -> Trainer[EventBatch]:
    # Norms rise with the warm-up, and the loss falls all along, slowly enough to compare two trainings step by step.
    values = {"warmup_epochs": 2.0, "lr_scheduler": "none", "lr": 3e-4, "epochs": 1000, **settings}
    return tiny_trainer(POOL, STEPS_PER_EPOCH, seed=seed, spoil=spoil, **values)


def copied_into(trainer: Trainer[EventBatch], other: Trainer[EventBatch]) -> Trainer[EventBatch]:
    """Put a fresh training where another one is."""
    state = copy.deepcopy(other.state())
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    assert trainer.average is not None
    trainer.average.load_state_dict(state["average"])
    trainer.load_guard(state["guard"])
    trainer.load_epoch_sums(state["epoch_sums"])
    trainer.progress = Progress(**vars(other.progress))
    return trainer


def judge(clean: Course, spiked: Course, spoil: Spoil, first_epoch: int) -> None:
    """Compare a training with planted spikes with its clean twin, both from the same epoch on."""
    usual = float(torch.tensor(clean.norms).median())
    planted = {step for step in spoil if spiked.norms[step - first_epoch * STEPS_PER_EPOCH] >= 10 * usual}
    # Every step that is ten times above the usual is skipped; what is skipped was planted.
    assert planted <= set(spiked.skipped) <= set(spoil)
    worst = max(one / other for one, other in zip(spiked.losses, clean.losses, strict=True))
    assert worst <= 1.05
    # Up to eight steps were not made: while the loss still falls that is less than the 20 steps of an epoch.
    assert spiked.losses[-1] <= 1.01 * max(clean.losses[-2:])


@pytest.fixture(scope="module")
def prefix() -> Trainer[EventBatch]:
    """A healthy training of 100 steps, from which the others go on."""
    trainer = begin(0)
    assert Course([], [], []).run(trainer, 5).skipped == []
    return trainer


@pytest.fixture(scope="module")
def clean(prefix: Trainer[EventBatch]) -> Course:
    course = Course([], [], []).run(copied_into(begin(0), prefix), 2)
    assert course.skipped == []
    return course


@pytest.mark.parametrize("shape", list(shapes(0)))
def test_no_spike_reaches_the_validation(shape: str, prefix: Trainer[EventBatch], clean: Course) -> None:
    spoil = shapes(105)[shape]
    spiked = Course([], [], []).run(copied_into(begin(0, spoil), prefix), 2)
    judge(clean, spiked, spoil, 5)
    # The encoder takes a scaled input, and the logarithm of a hot sensor, without a larger gradient.
    assert spiked.skipped == ([] if shape in {"scaled input", "hot sensor"} else list(spoil))


class StoppingWatch(Unwatched):
    def __init__(self, steps: int) -> None:
        self._steps = steps

    def must_stop(self) -> bool:
        self._steps -= 1
        return self._steps < 0


def test_a_run_left_among_the_spikes_decides_the_same(prefix: Trainer[EventBatch]) -> None:
    spoil = shapes(105)["eight bad batches"]
    straight = copied_into(begin(0, spoil), prefix)
    straight.run_epoch()
    stopped = copied_into(begin(0, spoil), prefix)
    # After four of the eight.
    with pytest.raises(InterruptedEpochError):
        stopped.run_epoch(StoppingWatch(8))
    resumed = copied_into(begin(0, spoil), stopped)
    resumed.run_epoch()
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    for name, value in straight._guard.state_dict().items():
        torch.testing.assert_close(resumed._guard.state_dict()[name], value, rtol=0, atol=0, equal_nan=True)


def test_one_bad_number_changes_no_later_decision(prefix: Trainer[EventBatch]) -> None:
    # The same spike meets a guard that has seen NaN and one that has not.
    late = shapes(110)["scaled truth"]
    courses = [
        Course([], [], []).run(copied_into(begin(0, spoil), prefix), 1)
        for spoil in ({105: Fault(x=math.nan), **late}, late)
    ]
    assert [course.skipped for course in courses] == [[105, 110], [110]]


# Norms double every 231 steps, or every 139, or every 70.
@pytest.mark.parametrize("growth", [1.003, 1.005, pytest.param(1.01, marks=pytest.mark.slow)])
def test_a_slow_drift_of_the_loss_is_no_spike(prefix: Trainer[EventBatch], growth: float) -> None:
    course = Course([], [], []).run(copied_into(begin(0, loss_growth=growth), prefix), 3)
    assert course.skipped == []


@dataclass(frozen=True)
class Healthy:
    """A training of 2000 healthy steps under the guard, which two tests look at.

    Attributes:
        seed: Of the training.
        course: What it came to.
        rollbacks: How often it went back.
    """

    seed: int
    course: Course
    rollbacks: int


@pytest.fixture(scope="module", params=range(5))
def healthy(request: pytest.FixtureRequest) -> Healthy:
    trainer = begin(request.param, **WHOLE)
    course = Course([], [], []).run(trainer, 100)
    return Healthy(request.param, course, trainer._rollback.count)


@pytest.mark.slow
def test_no_step_of_two_thousand_healthy_ones_is_skipped(healthy: Healthy) -> None:
    assert len(healthy.course.norms) == 2000
    assert healthy.course.skipped == []
    assert healthy.rollbacks == 0


@pytest.mark.slow
def test_the_guard_costs_a_healthy_training_nothing(healthy: Healthy) -> None:
    bare = Course([], [], []).run(begin(healthy.seed, **WHOLE, guard={"enabled": False}), 100)
    # It scales down a few outliers; after 2000 steps that is within half a percent.
    assert healthy.course.losses[-1] <= 1.005 * bare.losses[-1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_no_spike_reaches_the_validation_of_other_seeds(seed: int) -> None:
    first = begin(seed)
    assert Course([], [], []).run(first, 5).skipped == []
    clean = Course([], [], []).run(copied_into(begin(seed), first), 5)
    assert clean.skipped == []
    for spoil in shapes(105).values():
        judge(clean, Course([], [], []).run(copied_into(begin(seed, spoil), first), 5), spoil, 5)
