"""Where the time goes."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from lib.training.config import TrainingConfig
from lib.training.machine.profiler import SECTIONS, TRACE_AFTER, TRACED_STEPS, StepProfiler, Unprofiled, build_profiler
from tests.training.toy import ToyStream, toy_trainer, weights_of

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _known_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.training.machine.profiler.peak_tflops", lambda device, dtype: 0.5)


def test_profiling_changes_no_weight_and_covers_every_part() -> None:
    plain, profiled = toy_trainer(), toy_trainer(profile=True)
    without, metrics = plain.run_epoch(), profiled.run_epoch()
    for name, value in weights_of(plain).items():
        assert torch.equal(weights_of(profiled)[name], value), name
    shares = [metrics[f"profile/{name}_share"] for name in SECTIONS]
    assert min(shares) >= 0
    assert 0 < sum(shares) <= 1
    assert all(metrics[f"profile/{name}_share"] > 0 for name in ("data_load", "forward", "loss", "backward"))
    assert not [name for name in without if name.startswith("profile/")]


def test_operations_are_those_of_the_model() -> None:
    profiler = StepProfiler(CPU, torch.float32, trace=False)
    model = nn.Linear(30, 20)
    profiler.first_batch(lambda: model(torch.zeros(4, 30)), 4)
    profiler.step_done(1000)
    profile = profiler.take()
    # Two operations per weight and event forward, twice as many backward.
    assert profile.tflops * profile.total * 1e12 == pytest.approx(3 * 2 * 30 * 20 * 1000)
    assert profile.peak_share == pytest.approx(profile.tflops / 0.5)
    assert profile.events == 1000


def test_a_part_inside_another_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 2.0, 5.0, 9.0, 10.0, 10.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    profiler = StepProfiler(CPU, torch.float32, trace=False)
    with profiler.section("loss"), profiler.section("forward"):
        pass
    profile = profiler.take()
    assert (profile.seconds["forward"], profile.seconds["loss"], profile.total) == (3.0, 5.0, 10.0)


def test_the_table_names_every_part_and_the_artifacts_are_written(tmp_path: Path) -> None:
    steps = TRACE_AFTER + TRACED_STEPS
    trainer = toy_trainer(ToyStream(steps), profile_trace=True)
    assert trainer.write_profile(tmp_path) == []
    trainer.run_epoch()
    written = trainer.write_profile(tmp_path)
    assert [path.name for path in written] == ["profile.txt", "profile_trace.json"]
    table = written[0].read_text()
    for name in (*SECTIONS, "other"):
        assert re.search(rf"^{name} +\d+\.\d\d +\d+\.\d%$", table, re.MULTILINE), name
    assert "of the device's best" in table
    assert json.loads(written[1].read_text())["traceEvents"]
    # One trace is enough.
    trainer.run_epoch()
    assert [path.name for path in trainer.write_profile(tmp_path)] == ["profile.txt"]


def test_without_profiling_nothing_is_wrapped_or_measured(tmp_path: Path) -> None:
    profiler = build_profiler(TrainingConfig(), CPU)
    assert isinstance(profiler, Unprofiled)
    model = nn.Linear(1, 1)
    assert profiler.wrap(model) is model
    assert profiler.section("forward") is profiler.section("loss")
    assert profiler.take() is None
    assert profiler.write(tmp_path) == []


def test_a_wrapped_model_tells_whether_it_trains() -> None:
    model = nn.Linear(1, 1).eval()
    wrapped = StepProfiler(CPU, torch.float32, trace=False).wrap(model)
    assert not wrapped.training
    model.train()
    assert wrapped.training
    assert list(wrapped.parameters()) == []
