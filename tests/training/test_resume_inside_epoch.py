"""An epoch that was left under way gives the metrics and weights of one that was not."""

import copy
from typing import Any

import pytest
import torch

from lib.training.epoch_sums import CLOCK_METRICS
from lib.training.position import Progress
from lib.training.protocol import Unwatched
from lib.training.trainer import InterruptedEpochError, Trainer
from tests.training.toy import ToyBatch, ToyStream, guard_knowledge, toy_trainer, weights_of

GUARD = {"window": 16, "active_after": 4, "level_shift_steps": 4}


def make_trainer() -> Trainer[ToyBatch]:
    # One batch of NaN in each epoch: what is skipped must be counted once too.
    return toy_trainer(ToyStream(12, poisoned=(4,)), grad_accum_steps=2, guard=GUARD, epochs=2)


class StoppingWatch(Unwatched):
    """Stops after a number of looks; a look comes after each step and each validation batch."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def must_stop(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def resumed(stopped: Trainer[ToyBatch]) -> Trainer[ToyBatch]:
    state: dict[str, Any] = copy.deepcopy(stopped.state())
    trainer = make_trainer()
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    assert trainer.average is not None
    trainer.average.load_state_dict(state["average"])
    trainer.load_guard(state["guard"])
    trainer.load_epoch_sums(state["epoch_sums"])
    trainer.progress = Progress(**vars(stopped.progress))
    return trainer


def told(metrics: dict[str, float]) -> dict[str, str]:
    return {name: value.hex() for name, value in metrics.items() if name not in CLOCK_METRICS}


# An epoch has six steps and two validation batches.
@pytest.mark.parametrize("looks", range(8))
def test_an_epoch_left_anywhere_ends_as_if_it_had_not_been(looks: int) -> None:
    straight, stopped = make_trainer(), make_trainer()
    with pytest.raises(InterruptedEpochError):
        stopped.run_epoch(StoppingWatch(looks))
    assert stopped.progress.batches_done == 2 * min(looks + 1, 6)
    continued = resumed(stopped)
    for _ in range(2):
        assert told(straight.run_epoch()) == told(continued.run_epoch())
    expected = weights_of(straight)
    for name, value in weights_of(continued).items():
        assert torch.equal(value, expected[name]), name
    assert guard_knowledge(straight) == guard_knowledge(continued)


def test_saving_between_steps_changes_nothing() -> None:
    straight, saved = make_trainer(), make_trainer()

    class SavingWatch(Unwatched):
        def step_done(self) -> None:
            saved.state()

    assert told(straight.run_epoch()) == told(saved.run_epoch(SavingWatch()))


def test_a_stopped_validation_leaves_the_trained_weights_in_the_model() -> None:
    trainer = make_trainer()
    averages: dict[str, torch.Tensor] = {}

    class Watch(StoppingWatch):
        def step_done(self) -> None:
            averages.update({name: value.clone() for name, value in trainer.state()["model"].items()})

    with pytest.raises(InterruptedEpochError):
        trainer.run_epoch(Watch(6))
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, averages[name]), name
