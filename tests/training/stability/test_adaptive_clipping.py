"""Clipping tensor by tensor, against the formula of its paper."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib.training.stability.adaptive_clipping import AdaptiveClipping
from lib.training.stability.guard_config import AdaGCConfig
from tests.training.test_guard import make_guard, parameter
from tests.training.toy import ToyStream, guard_knowledge, toy_trainer, weights_of

CPU = torch.device("cpu")
WARMUP = 5


def clipping(tensors: int, **settings: Any) -> AdaptiveClipping:
    return AdaptiveClipping(AdaGCConfig(enabled=True, warmup_steps=WARMUP, **settings), tensors, CPU)


def paper(steps: Sequence[Sequence[float]]) -> list[list[float]]:
    """Clipped norms by algorithm 1 with the constants 1, 1.05 and 0.98, one tensor at a time in plain numbers."""
    usual = [math.inf] * len(steps[0])
    clipped_steps = []
    for number, norms in enumerate(steps):
        if number < WARMUP:
            factors = [min(1.0 / math.hypot(*norms), 1.0)] * len(norms)
        else:
            factors = [min(1.05 * known / norm, 1.0) for known, norm in zip(usual, norms, strict=True)]
        clipped = [factor * norm for factor, norm in zip(factors, norms, strict=True)]
        pairs = list(zip(usual, clipped, strict=True))
        usual = [min(pair) for pair in pairs] if number < WARMUP else [0.98 * u + 0.02 * c for u, c in pairs]
        clipped_steps.append(clipped)
    return clipped_steps


def norms_of(count: int, tensors: int = 3) -> Tensor:
    return torch.randn(count, tensors, generator=torch.Generator().manual_seed(0), dtype=torch.float64).exp()


def test_norms_are_clipped_as_the_paper_says() -> None:
    norms, clip = norms_of(40), clipping(3)
    found = [(one * clip.factors(one.float(), torch.tensor(True))).tolist() for one in norms]
    # Float32 against double, over 40 steps of an average.
    for ours, theirs in zip(found, paper(norms.tolist()), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_a_step_that_is_not_applied_leaves_the_averages_bit_for_bit() -> None:
    clip = clipping(3)
    for one in norms_of(20).float():
        clip.factors(one, torch.tensor(True))
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    for bad in (torch.tensor([1e6, 1.0, math.nan]), torch.full((3,), math.inf)):
        clip.factors(bad, torch.tensor(False))
    assert all(torch.equal(value, before[name]) for name, value in clip.state_dict().items())


def test_a_tensor_without_a_gradient_is_not_forgotten_and_may_have_one_later() -> None:
    clip = clipping(2)
    for _ in range(2 * WARMUP):
        assert clip.factors(torch.tensor([0.5, 0.0]), torch.tensor(True))[1] == 1.0
    # Its first gradient is not clipped, its second by what the first one was.
    assert clip.factors(torch.tensor([0.5, 2.0]), torch.tensor(True)).tolist() == [1.0, 1.0]
    assert clip.factors(torch.tensor([0.5, 4.2]), torch.tensor(True)).tolist() == pytest.approx([1.0, 0.5])


def test_one_spiking_tensor_leaves_the_gradients_of_the_others_alone() -> None:
    guard = make_guard(tensors=2, enabled=False, adagc={"enabled": True, "warmup_steps": WARMUP})
    for _ in range(20):
        step(guard, parameter(0.3), parameter(0.4))
    spiking, sound = parameter(300.0), parameter(0.4)
    step(guard, spiking, sound)
    torch.testing.assert_close(spiking.grad, torch.tensor([0.3 * 1.05]))
    assert torch.equal(sound.grad, torch.tensor([0.4]))  # type: ignore[arg-type]


def test_grad_clip_stays_the_ceiling_over_all_tensors() -> None:
    guard = make_guard(0.1, tensors=2, enabled=False, adagc={"enabled": True, "warmup_steps": WARMUP})
    first, second = parameter(3.0), parameter(4.0)
    step(guard, first, second)
    # The first steps are clipped to a norm of 1, and that to 0.1.
    torch.testing.assert_close(torch.cat([first.grad, second.grad]), torch.tensor([0.06, 0.08]))  # type: ignore[list-item]


def step(guard: Any, *parameters: nn.Parameter) -> None:
    guard.see_loss(torch.tensor(1.0))
    guard.judge([*parameters])


def test_other_tensors_begin_anew(caplog: pytest.LogCaptureFixture) -> None:
    settings = {"adagc": {"enabled": True}}
    three, two, off = make_guard(tensors=3, **settings), make_guard(tensors=2, **settings), make_guard()
    for other in (three, off):
        caplog.clear()
        with caplog.at_level("INFO"):
            two.load_state_dict(other.state_dict())
        assert "training.guard.adagc: the averages of gradient norms begin anew" in caplog.text


def test_a_resumed_training_clips_the_same() -> None:
    settings = {"guard": {"window": 16, "active_after": 8, "adagc": {"enabled": True, "warmup_steps": 10}}}
    straight, first, second = (toy_trainer(ToyStream(24, (5,)), **settings) for _ in range(3))
    straight.run_epoch()
    straight.run_epoch()
    first.run_epoch()
    state = first.state()
    second.model.load_state_dict(state["model"])
    second.optimizer.load_state_dict(state["optimizer"])
    second.average.load_state_dict(state["average"])  # type: ignore[union-attr]
    second.load_guard(state["guard"])
    second.progress = first.progress
    second.run_epoch()
    expected = weights_of(straight)
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(second).items())
    assert guard_knowledge(second) == guard_knowledge(straight)
