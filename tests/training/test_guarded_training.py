"""Trainings that meet bad batches: what is skipped, what is written down, when it ends."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.training.protocol import Unwatched
from lib.training.stability.skip_ledger import SkipCapError
from lib.training.stability.skip_report import SkipReport, module_norms
from lib.training.trainer import Trainer
from tests.training.records.test_recorder import SilentTracker, open_recorder
from tests.training.toy import ToyBatch, ToyStream, ToyTask, toy_model, toy_trainer, weights_of

GUARD = {"window": 32, "active_after": 8, "level_shift_steps": 4}


class Listener(Unwatched):
    def __init__(self) -> None:
        self.reports: list[SkipReport] = []

    def step_skipped(self, report: SkipReport) -> None:
        self.reports.append(report)


def numbers(batch: ToyBatch) -> dict[str, torch.Tensor]:
    return {"first": batch.y[:1, 0]}


def identified_trainer(train: ToyStream, **settings: Any) -> Trainer[ToyBatch]:
    from lib.training.config import TrainingConfig

    config = TrainingConfig(**{"epochs": 4, "lr": 1e-3, "amp": "none", "guard": GUARD, **settings})
    streams = {"train": train, "validation": ToyStream(2)}
    return Trainer[ToyBatch](toy_model(), ToyTask(), **streams, config=config, identify=numbers)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_spike_changes_nothing_and_is_reported_with_its_events(accumulation: int) -> None:
    trainer = identified_trainer(ToyStream(48, poisoned=(40,), value=1e3), grad_accum_steps=accumulation)
    step = 40 // accumulation
    states: dict[int, dict[str, torch.Tensor]] = {}

    class Watch(Listener):
        def step_done(self) -> None:
            states[trainer.progress.steps_done] = weights_of(trainer)

    watch = Watch()
    metrics = trainer.run_epoch(watch)
    assert (metrics["skipped_steps"], metrics["nonfinite_steps"]) == (1, 0)
    for name, value in states[step].items():
        assert torch.equal(value, states[step + 1][name]), name
    (report,) = watch.reports
    assert (report.step, report.finite, len(report.batches)) == (step, True, accumulation)
    batches = list(ToyStream(48).epoch(0))
    expected = [numbers(batch)["first"].item() for batch in batches[step * accumulation : (step + 1) * accumulation]]
    assert [batch["first"].item() for batch in report.batches] == expected
    assert metrics["grad_norm_max"] == report.norm > 100 * metrics["grad_norm_p50"]


def test_a_clean_training_is_the_same_with_and_without_the_guard_and_skips_nothing() -> None:
    metrics = []
    for enabled in (True, False):
        trainer = identified_trainer(ToyStream(400), guard={"enabled": enabled, "clip_sigma": 8.0})
        metrics.append(trainer.run_epoch())
    assert metrics[0]["skipped_steps"] == 0
    assert metrics[0]["val/loss"] == metrics[1]["val/loss"]


def test_the_first_module_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.training.records.recorder.Tracker", SilentTracker)
    trainer, recorder = identified_trainer(ToyStream(8)), open_recorder(tmp_path)
    steps = iter(range(8))

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        return gradient * math.nan if next(steps) == 3 else gradient

    trainer.model[3].weight.register_hook(spoil)

    class Watch(Unwatched):
        def step_skipped(self, report: SkipReport) -> None:
            recorder.record_skip(report)

    trainer.run_epoch(Watch())
    recorder.close("FINISHED")
    (path,) = (tmp_path / "skipped_steps").iterdir()
    content = json.loads(path.read_text())
    assert path.name == "step_00000003.json"
    assert content["reason"] == "loss or gradient not finite"
    assert content["first_module_not_finite"] == "3"
    assert content["module_norms"]["3"] == content["grad_norm"] == "nan"
    assert content["module_norms"]["0"] > 0
    # The gradient alone was spoilt.
    assert content["loss"] == "nan"
    assert content["rank"] == 0
    assert len(content["batches"][0]["first"]) == 1


def test_a_report_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lib.training.records.recorder.Tracker", SilentTracker)
    recorder = open_recorder(tmp_path)
    (tmp_path / "skipped_steps").touch()
    recorder.record_skip(SkipReport(1, True, 1.0, 1.0, [], {}))
    assert "step_00000001.json: cannot be written" in caplog.text
    recorder.close("FINISHED")


def test_norms_of_parameters_add_up_to_those_of_their_modules() -> None:
    assert module_norms(["a.weight", "a.bias", "b.c.weight"], [3.0, 4.0, 1.0]) == {"a": 5.0, "b.c": 1.0}


def test_too_many_skips_in_a_row_end_the_run() -> None:
    guard = {**GUARD, "max_skips_in_row": 5}
    trainer = toy_trainer(ToyStream(40, poisoned=tuple(range(10, 16))), guard=guard)
    with pytest.raises(SkipCapError, match=r"6 steps in a row were skipped \(6 with a loss or gradient"):
        trainer.run_epoch()


def test_too_large_a_share_of_an_epoch_ends_the_run() -> None:
    guard = {**GUARD, "max_skips_in_row": 5, "max_skipped_share": 0.1}
    trainer = toy_trainer(ToyStream(60, poisoned=tuple(range(0, 28, 4))), guard=guard)
    with pytest.raises(SkipCapError, match=r"7 of \d+ steps of the epoch were skipped"):
        trainer.run_epoch()


def test_as_many_skips_as_allowed_are_only_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    guard = {**GUARD, "max_skips_in_row": 5, "max_skipped_share": 0.1}
    trainer = toy_trainer(ToyStream(60, poisoned=tuple(range(0, 24, 4))), guard=guard)
    assert trainer.run_epoch()["nonfinite_steps"] == 6
    assert "skipped 6 of 60 steps (6 with a loss or gradient that was not finite" in caplog.text


def test_skips_in_a_row_are_counted_across_a_resume() -> None:
    guard = {**GUARD, "max_skips_in_row": 5}
    first = toy_trainer(ToyStream(40, poisoned=(37, 38, 39)), guard=guard)
    first.run_epoch()
    second = toy_trainer(ToyStream(40, poisoned=(0, 1)), guard=guard)
    second.load_guard(first.state()["guard"])
    with pytest.raises(SkipCapError, match="5 steps in a row"):
        second.run_epoch()
