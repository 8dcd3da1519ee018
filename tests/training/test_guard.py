"""The guard's decisions and what it reports of them."""

import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lib.training.guard import Guard, GuardRecord
from lib.training.stability.guard_config import GuardConfig

CPU = torch.device("cpu")


def make_guard(grad_clip: float | None = None, tensors: int = 1, **settings: object) -> Guard:
    return Guard(GuardConfig.model_validate(settings), grad_clip, CPU, num_tensors=tensors)


def parameter(*gradient: float) -> nn.Parameter:
    weight = nn.Parameter(torch.zeros(len(gradient)))
    weight.grad = torch.tensor(gradient)
    return weight


def judge(guard: Guard, *gradient: float, loss: float = 1.0) -> float:
    return judge_all(guard, parameter(*gradient), loss=loss)


def judge_all(guard: Guard, *parameters: nn.Parameter, loss: float = 1.0) -> float:
    guard.see_loss(torch.tensor(loss))
    return float(guard.judge(list(parameters)))


def drained(guard: Guard) -> GuardRecord:
    record = guard.drain()
    assert record is not None
    return record


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_every_step_is_recorded_with_its_norm_and_verdict(bad: float) -> None:
    guard = make_guard()
    verdicts = [judge(guard, norm) for norm in (3.0, bad, 1.0)]
    record = drained(guard)
    assert verdicts == [1.0, 0.0, 1.0]
    assert record.accepted.tolist() == record.finite.tolist() == [True, False, True]
    assert record.norms[[0, 2]].tolist() == [3.0, 1.0]


def test_the_loss_of_a_step_is_the_mean_of_its_window() -> None:
    guard = make_guard()
    for loss in (1.0, 4.0):
        guard.see_loss(torch.tensor(loss))
    guard.judge([parameter(1.0)])
    judge(guard, 1.0, loss=math.inf)
    losses = drained(guard).losses
    assert losses[0] == 2.5
    assert losses[1].isnan()


def test_what_was_drained_is_forgotten() -> None:
    guard = make_guard()
    judge(guard, 7.0)
    drained(guard)
    assert guard.drain() is None


def test_a_step_that_is_not_finite_leaves_the_statistics_bit_for_bit() -> None:
    guard = make_guard(window=8, active_after=4, level_shift_steps=4)
    for norm in (1.0, 2.0, 1.5, 1.2, 1.1):
        judge(guard, norm)
    before = {name: value.clone() for name, value in guard.state_dict().items()}
    judge(guard, math.nan)
    judge(guard, 1.0, loss=math.nan)
    judge(guard, math.inf)
    for name, value in guard.state_dict().items():
        assert torch.equal(value.nan_to_num(), before[name].nan_to_num()), name


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_bad_loss_rejects_its_window_and_no_other(position: int) -> None:
    guard = make_guard()
    losses = [1.0, 1.0, 1.0]
    losses[position] = math.nan
    included = [bool(guard.see_loss(torch.tensor(loss))) for loss in losses]
    assert included == [math.isfinite(loss) for loss in losses]
    assert float(guard.judge([parameter(1.0)])) == 0.0
    assert judge(guard, 1.0) == 1.0


def test_gradients_of_an_accepted_step_below_the_ceiling_stay_bit_for_bit() -> None:
    weight = parameter(0.1, -0.2, 0.3)
    before = weight.grad.clone()  # type: ignore[union-attr]
    assert judge_all(make_guard(1.0), weight) == 1.0
    assert torch.equal(weight.grad, before)  # type: ignore[arg-type]


@pytest.mark.parametrize("enabled", [True, False])
def test_gradients_are_not_touched_without_a_ceiling(enabled: bool) -> None:
    weight = parameter(1e6, -3e7)
    judge_all(make_guard(enabled=enabled), weight)
    assert torch.equal(weight.grad, torch.tensor([1e6, -3e7]))  # type: ignore[arg-type]


def test_clipping_scales_all_gradients_alike_to_the_ceiling() -> None:
    first, second = parameter(3.0), parameter(0.0, 4.0)
    guard = make_guard(1.0)
    judge_all(guard, first, second)
    # The divisor has 1e-6 added, so the norm falls short of the ceiling by 2e-7.
    torch.testing.assert_close(first.grad, torch.tensor([0.6]), rtol=1e-6, atol=0.0)
    torch.testing.assert_close(second.grad, torch.tensor([0.0, 0.8]), rtol=1e-6, atol=0.0)
    assert drained(guard).norms.tolist() == pytest.approx([5.0])


def test_parameters_without_gradient_are_passed_over() -> None:
    unused = nn.Parameter(torch.zeros(2))
    guard = make_guard(1.0)
    assert judge_all(guard, unused, parameter(0.5)) == 1.0
    assert unused.grad is None
    assert drained(guard).parameter_norms.tolist() == [[0.0, 0.5]]


@pytest.mark.parametrize("enabled", [True, False])
def test_a_spike_is_skipped_only_by_the_guard_that_is_switched_on(enabled: bool) -> None:
    guard = make_guard(enabled=enabled, window=8, active_after=4, level_shift_steps=4)
    for norm in (1.0, 1.1, 0.9, 1.0):
        assert judge(guard, norm) == 1.0
    assert judge(guard, 100.0) == float(not enabled)
    record = drained(guard)
    assert record.finite.all()
    assert record.accepted.tolist() == [True] * 4 + [not enabled]


def test_a_moderate_outlier_is_scaled_down_below_the_ceiling() -> None:
    guard = make_guard(1e9, window=8, active_after=4, level_shift_steps=4, min_spread=0.1)
    for _ in range(4):
        judge(guard, 1.0)
    weight = parameter(1.6)
    assert judge_all(guard, weight) == 1.0
    # Median 1 and the smallest spread of 0.1: 3 sigma above lies exp(0.3).
    torch.testing.assert_close(weight.grad, torch.tensor([math.exp(0.3)]), rtol=1e-5, atol=0.0)


def test_a_window_of_another_length_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    small, large = make_guard(window=64), make_guard(window=128)
    judge(small, 1.0)
    with caplog.at_level("INFO"):
        large.load_state_dict(small.state_dict())
    assert "the window of gradient norms begins anew" in caplog.text
    assert int(large.state_dict()["admitted"]) == 0


def test_a_guard_that_is_off_has_no_state() -> None:
    guard = make_guard(enabled=False)
    judge(guard, 1.0)
    assert guard.state_dict() == {}
    guard.load_state_dict({})


class WaitingOperations(TorchDispatchMode):
    """Collects what would wait for a device: reading a scalar, copying to the host, a shape that depends on values."""

    NAMES = ("_local_scalar_dense", "_to_copy", "nonzero", "masked_select", "equal", "is_nonzero", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):  # type: ignore[no-untyped-def]
        name = function.name().removeprefix("aten::").partition(".")[0]
        target = (keywords or {}).get("device")
        if name in self.NAMES and (name != "_to_copy" or target is not None):
            self.found.append(name)
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_decision_never_waits_for_the_device(adaptive: bool) -> None:
    guard = make_guard(1.0, window=8, active_after=4, level_shift_steps=4, adagc={"enabled": adaptive})
    weight, loss = parameter(0.5, 1.0), torch.tensor(1.0)
    with WaitingOperations() as waiting:
        for _ in range(12):
            guard.see_loss(loss)
            guard.judge([weight])
        assert waiting.found == []
        float(guard.see_loss(loss))
    assert waiting.found == ["_local_scalar_dense"]
