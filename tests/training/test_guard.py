"""The guard's decisions and statistics."""

import math

import pytest
import torch
from torch import nn

from lib.training.guard import Guard, GuardSummary

CPU = torch.device("cpu")


def parameter(*gradient: float) -> nn.Parameter:
    weight = nn.Parameter(torch.zeros(len(gradient)))
    weight.grad = torch.tensor(gradient)
    return weight


def judge(guard: Guard, *gradient: float, loss: float = 1.0) -> float:
    guard.see_loss(torch.tensor(loss))
    return float(guard.judge([parameter(*gradient)]))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_norms_that_are_not_finite_never_enter_the_statistics(bad: float) -> None:
    guard = Guard(None, CPU)
    for norm in (3.0, bad, 1.0, bad, 2.0):
        judge(guard, norm)
    assert guard.summary() == GuardSummary(steps=5, skipped=2, norm_max=3.0, norm_median=2.0)


def test_statistics_after_a_bad_step_are_those_of_a_run_without_it() -> None:
    seen, unseen = Guard(1.0, CPU), Guard(1.0, CPU)
    judge(seen, math.nan, loss=math.nan)
    seen.summary()
    for guard in (seen, unseen):
        for norm in (4.0, 5.0):
            assert judge(guard, norm) == 1.0
    assert seen.summary() == unseen.summary()


def test_only_bad_norms_leave_statistics_of_zero() -> None:
    guard = Guard(None, CPU)
    judge(guard, math.nan)
    assert guard.summary() == GuardSummary(1, 1, 0.0, 0.0)


def test_a_summary_forgets_what_it_told() -> None:
    guard = Guard(None, CPU)
    judge(guard, 7.0)
    guard.summary()
    assert guard.summary() == GuardSummary(0, 0, 0.0, 0.0)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_bad_loss_rejects_its_window_and_no_other(position: int) -> None:
    guard = Guard(None, CPU)
    losses = [1.0, 1.0, 1.0]
    losses[position] = math.nan
    included = [float(guard.see_loss(torch.tensor(loss))) for loss in losses]
    assert included == [float(math.isfinite(loss)) for loss in losses]
    assert float(guard.judge([parameter(1.0)])) == 0.0
    assert judge(guard, 1.0) == 1.0


def test_gradients_of_an_accepted_step_below_the_ceiling_stay_bit_for_bit() -> None:
    weight = parameter(0.1, -0.2, 0.3)
    before = weight.grad.clone()  # type: ignore[union-attr]
    assert float(Guard(1.0, CPU).judge([weight])) == 1.0
    assert torch.equal(weight.grad, before)  # type: ignore[arg-type]


def test_gradients_are_never_touched_without_a_ceiling() -> None:
    weight = parameter(1e6, -3e7)
    Guard(None, CPU).judge([weight])
    assert torch.equal(weight.grad, torch.tensor([1e6, -3e7]))  # type: ignore[arg-type]


def test_clipping_scales_all_gradients_alike_to_the_ceiling() -> None:
    first, second = parameter(3.0), parameter(0.0, 4.0)
    guard = Guard(1.0, CPU)
    guard.judge([first, second])
    # The divisor has 1e-6 added, so the norm falls short of the ceiling by 2e-7.
    torch.testing.assert_close(first.grad, torch.tensor([0.6]), rtol=1e-6, atol=0.0)
    torch.testing.assert_close(second.grad, torch.tensor([0.0, 0.8]), rtol=1e-6, atol=0.0)
    assert guard.summary().norm_max == pytest.approx(5.0)


def test_parameters_without_gradient_are_passed_over() -> None:
    unused = nn.Parameter(torch.zeros(2))
    guard = Guard(1.0, CPU)
    assert float(guard.judge([unused, parameter(0.5)])) == 1.0
    assert unused.grad is None
    assert guard.summary().norm_max == pytest.approx(0.5)
