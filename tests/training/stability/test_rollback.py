"""Trainings that go back to an older state."""

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.training.epoch_sums import CLOCK_METRICS
from lib.training.position import Progress
from lib.training.protocol import Unwatched
from lib.training.stability.guard_config import GuardConfig
from lib.training.stability.rollback import Rollback, RollbackCapError, RollbackReport
from lib.training.trainer import InterruptedEpochError, Trainer
from tests.training.records.test_recorder import SilentTracker, open_recorder
from tests.training.toy import ToyBatch, ToyStream, guard_knowledge, toy_trainer, weights_of

ROLLBACK = {"min_age": 30, "keep_every": 40, "pass_over": 24, "lr_steps": 30}
GUARD = {"window": 16, "active_after": 8, "level_shift_steps": 4, "max_skipped_share": 1.0, "rollback": ROLLBACK}
# Three rows of skips within 20 steps; the look that finds them comes after step 100 of the epoch.
BAD = (88, 92, 95)
STEPS = 160


class CountingStream(ToyStream):
    """Notes which batches were drawn."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.drawn: list[tuple[int, int]] = []

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[ToyBatch]:
        for index, batch in enumerate(super().epoch(epoch, first_batch), first_batch):
            self.drawn.append((epoch, index))
            yield batch


class Listener(Unwatched):
    def __init__(self, trainer: Trainer[ToyBatch]) -> None:
        self.reports: list[RollbackReport] = []
        self.weights: dict[int, dict[str, torch.Tensor]] = {}
        self._trainer = trainer

    def step_done(self) -> None:
        self.weights[self._trainer.progress.steps_done] = weights_of(self._trainer)

    def went_back(self, report: RollbackReport) -> None:
        self.reports.append(report)
        self.weights[-1] = weights_of(self._trainer)


def make_trainer(poisoned: tuple[int, ...] = BAD, steps: int = STEPS, **settings: Any) -> Trainer[ToyBatch]:
    guard = {**GUARD, "rollback": {**ROLLBACK, **settings.pop("rollback", {})}}
    values = {"lr": 1e-3, "guard": guard, "warmup_epochs": 0.0, "lr_scheduler": "none", "epochs": 2, **settings}
    return toy_trainer(CountingStream(steps, poisoned), **values)


def test_a_training_in_trouble_returns_to_the_newest_old_enough_state() -> None:
    trainer = make_trainer()
    watch = Listener(trainer)
    metrics = trainer.run_epoch(watch)
    (report,) = watch.reports
    # States are kept at looks, after steps 0, 41 and 81; the trouble is found after step 101.
    assert (report.step, report.to_step, report.first_batch, report.passed_over) == (101, 41, 101, 24)
    assert report.reason == "steps were skipped 3 times within 20 steps"
    for name, value in watch.weights[41].items():
        assert torch.equal(watch.weights[-1][name], value), name
    assert not torch.equal(watch.weights[126]["0.weight"], watch.weights[41]["0.weight"])
    assert metrics["train/rollbacks"] == 1
    assert metrics["train/undone_steps"] == 60
    assert metrics["train/passed_over_batches"] == 24
    assert metrics["skipped_steps"] == len(BAD)
    assert trainer.progress.steps_done == STEPS


def test_every_batch_is_trained_on_or_passed_over_exactly_once() -> None:
    trainer = make_trainer()
    metrics = trainer.run_epoch(watch := Listener(trainer))
    stream = trainer._train
    assert isinstance(stream, CountingStream)
    assert stream.drawn == [(0, index) for index in range(STEPS)]
    trained = set(watch.weights) - {-1}
    assert len(trained) + metrics["train/passed_over_batches"] == STEPS
    # Step 101 ends behind the batches that are passed over.
    assert trained == {*range(1, 101), *range(125, STEPS + 1)}


def test_the_learning_rate_is_halved_for_a_while() -> None:
    trainer, rates = make_trainer(), {}

    class Watch(Unwatched):
        def step_done(self) -> None:
            rates[trainer.progress.steps_done - 1] = trainer.optimizer.param_groups[0]["lr"]

    trainer.run_epoch(Watch())
    assert {step for step, rate in rates.items() if rate == 5e-4} == set(range(125, 155))
    assert {rate for step, rate in rates.items() if not 125 <= step < 155} == {1e-3}


def test_the_end_of_the_epoch_ends_the_passing_over() -> None:
    trainer = make_trainer(steps=110)
    assert trainer.run_epoch()["train/passed_over_batches"] == 9
    assert trainer.run_epoch()["train/passed_over_batches"] == 9


def test_accumulated_windows_are_passed_over_whole() -> None:
    trainer = make_trainer(tuple(5 * step for step in BAD), steps=5 * STEPS, grad_accum_steps=5)
    metrics = trainer.run_epoch()
    assert metrics["train/passed_over_batches"] == 20
    assert trainer.progress.steps_done == STEPS


def test_a_validation_far_above_the_best_goes_back_before_the_next_epoch() -> None:
    trainer = make_trainer((), epochs=3)
    trainer.run_epoch()
    kept = trainer._rollback.kept[-1]
    trainer._rollback.see_validation(1e-9)
    trainer._train = ToyStream(1)
    trainer._steps_per_epoch = 1
    metrics = trainer.run_epoch(watch := Listener(trainer))
    (report,) = watch.reports
    assert "times the best" in report.reason
    assert (metrics["train/rollbacks"], metrics["train/passed_over_batches"]) == (1, 0)
    assert report.to_step == kept.step
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, kept.content["model"][name]), name


def test_without_an_old_enough_state_the_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    metrics = make_trainer((8, 10, 12), steps=40, rollback={"min_age": 100}).run_epoch()
    assert metrics["train/rollbacks"] == 0
    assert "but there is no state 100 steps older to go back to" in caplog.text


@pytest.mark.parametrize("off", [{"rollback": {"enabled": False}}, {"guard": {**GUARD, "enabled": False}}])
def test_a_guard_that_may_not_go_back_keeps_nothing(off: dict[str, Any]) -> None:
    trainer = make_trainer(**off) if "rollback" in off else toy_trainer(ToyStream(STEPS, BAD), **off)
    assert trainer.run_epoch()["train/rollbacks"] == 0
    assert trainer._rollback.kept == []


def test_once_more_than_allowed_ends_the_run() -> None:
    trainer = make_trainer(rollback={"max_rollbacks": 2}, epochs=9)
    # No validation is a new best, so nothing shows that the training recovers.
    trainer._rollback.see_validation(0.0)
    trainer.run_epoch()
    trainer.run_epoch()
    with pytest.raises(RollbackCapError, match=r"went back 2 times since its last best validation loss .*max_rollback"):
        trainer.run_epoch()


def test_a_new_best_validation_shows_that_the_training_recovered() -> None:
    rollback = Rollback(GuardConfig.model_validate(GUARD))
    rollback.keep_if_due(0, dict)
    for step in (100, 200):
        rollback.course._now.trouble = "planted"
        assert rollback.go_back(step) is not None
    assert rollback.count == 2
    rollback.see_validation(1.0)
    assert rollback.count == 0
    rollback.see_validation(2.0)


def test_cuts_that_overlap_multiply() -> None:
    rollback = Rollback(GuardConfig.model_validate(GUARD))
    rollback.reduce_learning_rate(100)
    rollback.reduce_learning_rate(120)
    assert [rollback.learning_rate_factor(step) for step in (99, 100, 119, 120, 129, 130, 149, 150)] == [
        1.0, 0.5, 0.5, 0.25, 0.25, 0.5, 0.5, 1.0,
    ]  # fmt: skip


def test_only_states_that_can_be_gone_back_to_are_kept() -> None:
    rollback = Rollback(GuardConfig.model_validate(GUARD))
    for step in range(0, 500, 10):
        rollback.keep_if_due(step, dict)
        assert len(rollback.kept) <= 2
        # At most keep_every older than what is just old enough.
        assert step < 30 or step - rollback._old_enough(step)[-1].step < 30 + 40


def test_a_kept_state_is_not_changed_by_what_comes_after() -> None:
    trainer = make_trainer(())
    trainer.run_epoch()
    kept = trainer._rollback.kept[-1].content
    before = copy.deepcopy(kept)
    trainer._restore(kept)
    trainer.run_epoch()
    for part in ("model", "average", "guard"):
        for name, value in before[part].items():
            torch.testing.assert_close(kept[part][name], value, rtol=0, atol=0, equal_nan=True)
    for index, moments in before["optimizer"]["state"].items():
        assert all(torch.equal(kept["optimizer"]["state"][index][name], value) for name, value in moments.items())


class StoppingWatch(Unwatched):
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


@pytest.fixture(scope="module")
def straight() -> tuple[dict[str, str], dict[str, str], dict[str, torch.Tensor], str]:
    trainer = make_trainer()
    return told(trainer.run_epoch()), told(trainer.run_epoch()), weights_of(trainer), guard_knowledge(trainer)


# Before the first kept state, between kept states, among the skips, at the trouble, while batches are passed over, with
# the reduced learning rate, and at the end.
@pytest.mark.parametrize("looks", [20, 89, 100, 110, 140, 160])
def test_a_run_left_anywhere_goes_back_to_the_very_same_state(looks: int, straight: Any) -> None:
    stopped = make_trainer()
    with pytest.raises(InterruptedEpochError):
        stopped.run_epoch(StoppingWatch(looks))
    continued = resumed(stopped)
    first, second, weights, known = straight
    assert told(continued.run_epoch()) == first
    assert told(continued.run_epoch()) == second
    for name, value in weights_of(continued).items():
        assert torch.equal(value, weights[name]), name
    assert guard_knowledge(continued) == known


def test_the_return_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.training.records.recorder.Tracker", SilentTracker)
    recorder = open_recorder(tmp_path)
    report = RollbackReport(101, 41, "too much", epoch=0, first_batch=101, passed_over=24, count=1)
    recorder.record_rollback(report)
    content = json.loads((tmp_path / "rollbacks" / "step_00000101.json").read_text())
    assert RollbackReport(**content) == report
    recorder.close("FINISHED")


def test_a_training_that_drifts_away_is_brought_back() -> None:
    """A learning rate far too high from one step on: the loss rises without a single step far above its neighbours."""
    trainer = make_trainer((), steps=400, rollback={"loss_window": 40, "loss_steps": 10, "loss_decay": 0.8})
    batches = list(ToyStream(400).epoch(0))
    drifting = [replace(batch, y=batch.y * 1.02 ** max(0, step - 200)) for step, batch in enumerate(batches)]

    class DriftingStream(ToyStream):
        def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[ToyBatch]:
            # After the return the truth is sound again.
            yield from drifting[first_batch:300] + batches[max(300, first_batch) :]

    trainer._train = DriftingStream(400)
    metrics = trainer.run_epoch(watch := Listener(trainer))
    assert metrics["train/rollbacks"] >= 1
    assert "the averaged loss" in watch.reports[0].reason
    assert math.isfinite(metrics["val/loss"])
