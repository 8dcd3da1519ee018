"""torch.compile."""

import shutil

import pytest
import torch
from torch import nn

from lib.training.compilation import compiled
from lib.training.config import TrainingConfig
from tests.training.toy import ToyStream, toy_trainer

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++ on the CPU")


@pytest.mark.parametrize("setting", ["none", False])
def test_a_model_stays_as_it_is_unless_asked(setting: str | bool) -> None:
    model = nn.Linear(2, 2)
    assert compiled(model, TrainingConfig(compile=setting)) is model


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_shares_its_weights_and_its_mode() -> None:
    model = nn.Linear(2, 2)
    wrapped = compiled(model, TrainingConfig(compile=True))
    assert wrapped is not model
    assert [id(parameter) for parameter in wrapped.parameters()] == [id(parameter) for parameter in model.parameters()]
    # Tasks ask the wrapped model whether it trains, the trainer tells the inner one.
    model.eval()
    assert not wrapped.training
    model.train()
    assert wrapped.training


@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune"])
def test_the_mode_and_the_refusal_of_breaks_are_passed_on(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(torch, "compile", lambda model, **settings: seen.append(settings) or model)
    compiled(nn.Linear(2, 2), TrainingConfig(compile=mode, compile_fullgraph=True))
    assert seen == [{"mode": mode, "fullgraph": True}]


@needs_compiler
@pytest.mark.compile
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_compiled_steps_equal_two_eager_ones() -> None:
    settings = {"train": ToyStream(2), "epochs": 1}
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
