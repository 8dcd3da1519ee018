"""The ladder of torch.compile."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lib.errors import ConfigError
from lib.training.machine import compilation
from lib.training.machine.compilation import CompileLadder, keep_compiled_kernels
from lib.training.machine.compile_rungs import RUNGS, next_rung
from tests.training.toy import ToyStream, toy_trainer, weights_of

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++ on the CPU")


class Fails(nn.Module):
    """Stands for a model whose compilation fails as often as it is told."""

    def __init__(self, model: nn.Module, error: Exception | None) -> None:
        super().__init__()
        self.model = model
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.error:
            raise self.error
        return self.model(x)


def broken_compiler(broken: set[str], error: Exception) -> Callable[..., nn.Module]:
    return lambda model, mode, **settings: Fails(model, error if mode in broken else None)


def test_every_rung_leads_to_none() -> None:
    assert [next_rung(mode) for mode in RUNGS] == ["reduce-overhead", "default", "none", "none"]


def test_a_model_stays_as_it_is_unless_asked() -> None:
    model = nn.Linear(2, 2)
    assert CompileLadder(model, "none", fullgraph=False).model is model


def test_refusing_breaks_of_what_is_not_compiled_is_said(caplog: pytest.LogCaptureFixture) -> None:
    CompileLadder(nn.Linear(2, 2), "none", fullgraph=True)
    assert "compile_fullgraph has no effect" in caplog.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_shares_its_weights_and_its_mode() -> None:
    model = nn.Linear(2, 2)
    wrapped = CompileLadder(model, "default", fullgraph=False).model
    assert wrapped is not model
    assert [id(parameter) for parameter in wrapped.parameters()] == [id(parameter) for parameter in model.parameters()]
    # Tasks ask the wrapped model whether it trains, the trainer tells the inner one.
    model.eval()
    assert not wrapped.training
    model.train()
    assert wrapped.training


@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune"])
def test_the_mode_and_the_refusal_of_breaks_are_passed_on(monkeypatch: pytest.MonkeyPatch, mode: Any) -> None:
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(torch, "compile", lambda model, **settings: seen.append(settings) or model)
    CompileLadder(nn.Linear(2, 2), mode, fullgraph=True)
    assert seen == [{"mode": mode, "fullgraph": True, "dynamic": False}]


@pytest.mark.parametrize(("broken", "reached"), [({"max-autotune"}, "reduce-overhead"), (set(RUNGS), "none")])
def test_a_failing_compiler_costs_rungs_but_no_step(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: set[str], reached: str
) -> None:
    monkeypatch.setattr(torch, "compile", broken_compiler(broken, RuntimeError("no triton\nlong trace")))
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: None)
    monkeypatch.setattr(torch._dynamo, "reset", lambda: None, raising=False)
    climber, eager = toy_trainer(compile="max-autotune"), toy_trainer(compile="none")
    for trainer in (climber, eager):
        trainer.run_epoch()
    assert climber.execution()["execution.compile"] == reached
    assert "RuntimeError: no triton" in climber.execution()["execution.compile_reason"]
    assert f"going on with {reached}" in caplog.text
    for name, value in weights_of(eager).items():
        assert torch.equal(weights_of(climber)[name], value), name


def test_what_is_not_the_compilers_fault_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = toy_trainer(compile="none")
    monkeypatch.setattr(trainer.model[0], "forward", Fails(trainer.model[0], ValueError("wrong shape")).forward)
    with pytest.raises(ValueError, match="wrong shape"):
        trainer.run_epoch()


def test_a_failure_after_a_good_run_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", broken_compiler(set(), RuntimeError()))
    ladder = CompileLadder(nn.Linear(2, 2), "default", fullgraph=False)
    with ladder.first_run():
        pass
    assert not ladder.fall(RuntimeError("device lost"))
    assert ladder.mode == "default"


def test_a_refused_graph_break_is_the_users_to_decide() -> None:
    ladder = CompileLadder(nn.Linear(2, 2), "none", fullgraph=False)
    ladder.mode, ladder._fullgraph = "default", True
    error = torch._dynamo.exc.Unsupported("call to print", case_name="print")
    with pytest.raises(ConfigError, match="cannot be compiled as one graph"):
        ladder.fall(error)


def test_a_long_compilation_gives_signs_of_life(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(compilation, "SIGN_OF_LIFE_SECONDS", 0.001)
    monkeypatch.setattr(torch, "compile", broken_compiler(set(), RuntimeError()))
    ladder = CompileLadder(nn.Linear(2, 2), "default", fullgraph=False)
    with ladder.first_run():
        while "still compiling" not in caplog.text:
            pass
    assert "compiled the training step in mode default" in caplog.text
    caplog.clear()
    with ladder.first_run():
        pass
    assert caplog.text == ""


def test_compiled_kernels_are_kept_where_the_user_wants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    keep_compiled_kernels()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"].startswith(str(tmp_path / "xec-ml" / "inductor-"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/mine")
    keep_compiled_kernels()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/mine"


@needs_compiler
@pytest.mark.compile
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_compiled_steps_equal_two_eager_ones() -> None:
    settings: dict[str, Any] = {"train": ToyStream(2), "epochs": 1}
    eager, fused = toy_trainer(**settings), toy_trainer(**settings, compile="default", compile_fullgraph=True)
    for trainer in (eager, fused):
        # Compiled dropout draws from another stream of random numbers.
        trainer.model[2].p = 0.0
    metrics = [trainer.run_epoch() for trainer in (eager, fused)]
    # Fused kernels add in another order.
    assert metrics[1]["train/loss"] == pytest.approx(metrics[0]["train/loss"], rel=1e-5)
    assert metrics[1]["val/loss"] == pytest.approx(metrics[0]["val/loss"], rel=1e-5)
    for name, value in eager.model.state_dict().items():
        torch.testing.assert_close(fused.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
