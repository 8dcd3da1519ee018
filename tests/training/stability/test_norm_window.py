"""What gradient norms are usual: no false alarm, no missed spike, nothing learnt from bad steps."""

import math
from collections.abc import Iterable

import pytest
import torch

from lib.training.stability.guard_config import GuardConfig
from lib.training.stability.norm_window import NormWindow

CPU = torch.device("cpu")


def decide(window: NormWindow, norms: Iterable[float]) -> list[tuple[bool, float]]:
    """Return verdict and limit of each norm in turn."""
    decisions = []
    for norm in norms:
        value = torch.tensor(norm)
        judgement = window.judge(value, torch.isfinite(value))
        decisions.append((bool(judgement.usual), float(judgement.limit)))
    return decisions


def clean(count: int, seed: int, spread: float = 0.3) -> list[float]:
    """Norms as a healthy training has them: log-normal, slowly falling, rising during warm-up."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, generator=generator) * spread
    course = torch.tensor([min(1.0, (step + 1) / 100) * math.exp(-step / 2000) for step in range(count)])
    return (course * noise.exp()).tolist()


def skips(decisions: list[tuple[bool, float]]) -> int:
    return sum(not usual for usual, _ in decisions)


@pytest.mark.parametrize("seed", range(5))
def test_no_clean_step_is_skipped(seed: int) -> None:
    assert skips(decide(NormWindow(GuardConfig(), CPU), clean(2000, seed))) == 0


def drifting(count: int, seed: int, growth: float, spread: float) -> list[float]:
    """Norms that grow by a factor from step to step."""
    noise = torch.randn(count, generator=torch.Generator().manual_seed(seed)) * spread
    return [math.exp(float(value)) * growth**step for step, value in enumerate(noise)]


@pytest.mark.parametrize(("growth", "spread"), [(1.005, 0.9), (1.01, 0.3)])
def test_a_drift_is_followed_and_no_step_of_it_skipped(growth: float, spread: float) -> None:
    assert skips(decide(NormWindow(GuardConfig(), CPU), drifting(400, 0, growth, spread))) == 0


def test_spikes_within_a_drift_are_skipped_and_none_beside_them() -> None:
    norms = drifting(300, 1, 1.005, 0.2)
    planted = [200, 250, 251, 252, 253, 254]
    for step in planted:
        norms[step] *= 10.0
    decisions = decide(NormWindow(GuardConfig(), CPU), norms)
    assert [step for step, (usual, _) in enumerate(decisions) if not usual] == planted


def test_a_constant_drift_is_known_exactly() -> None:
    window = NormWindow(GuardConfig(), CPU)
    limits = [limit for _, limit in decide(window, [1.01**step for step in range(200)])][-50:]
    # What is left is the smallest spread.
    assert limits == pytest.approx([1.01**step * math.exp(3 * 0.05) for step in range(150, 200)], rel=1e-5)


@pytest.mark.parametrize(("rise", "followed"), [(-1.0, 0.0), (1.0, 1.0), (5.0, math.log(3.0))])
def test_a_rise_is_followed_up_to_the_skip_factor_and_a_fall_is_not(rise: float, followed: float) -> None:
    window = NormWindow(GuardConfig(), CPU)
    levels = torch.tensor([0.0] * 64 + [rise] * 64, dtype=torch.float64)
    window.load_state_dict({**window.state_dict(), "window": levels, "admitted": torch.tensor(128)})
    # The newest of 128 is one step old, and 64 steps lie between the medians.
    ages = torch.arange(128, 0, -1)
    torch.testing.assert_close(window._window_at_present(), levels + followed / 64 * ages)


@pytest.mark.parametrize("factor", [10.0, 30.0, 1e3, 1e6])
def test_every_planted_spike_is_skipped_and_none_beside_them(factor: float) -> None:
    norms = clean(600, 0, spread=0.2)
    planted = [200, 350, 351, 352, 353, 354]
    for step in planted:
        norms[step] *= factor
    decisions = decide(NormWindow(GuardConfig(), CPU), norms)
    assert [step for step, (usual, _) in enumerate(decisions) if not usual] == planted


def test_one_value_that_is_not_finite_changes_no_later_decision() -> None:
    norms = clean(300, 1)
    norms[250] *= 100.0
    seen, unseen = NormWindow(GuardConfig(), CPU), NormWindow(GuardConfig(), CPU)
    expected = decide(unseen, norms)
    with_bad = decide(seen, [*norms[:100], math.nan, *norms[100:200], math.inf, -math.inf, *norms[200:]])
    del with_bad[201:203], with_bad[100]
    # NaN limits do not occur, so equality is equality.
    assert with_bad == expected
    for name, value in seen.state_dict().items():
        torch.testing.assert_close(value, unseen.state_dict()[name], rtol=0, atol=0, equal_nan=True)


def test_a_spike_leaves_no_trace_in_the_statistics() -> None:
    window = NormWindow(GuardConfig(), CPU)
    decide(window, clean(100, 2))
    before = window.state_dict()["window"].clone()
    assert decide(window, [1e4])[0][0] is False
    torch.testing.assert_close(window.state_dict()["window"], before, rtol=0, atol=0, equal_nan=True)


def test_nothing_is_judged_before_enough_steps_were_seen() -> None:
    config = GuardConfig()
    window = NormWindow(config, CPU)
    norms = [1.0] * (config.active_after - 1) + [1e6]
    assert decide(window, norms) == [(True, math.inf)] * config.active_after


def test_the_limit_lies_three_sigma_above_the_median() -> None:
    window = NormWindow(GuardConfig(), CPU)
    decide(window, [math.exp(value) for value in (-0.2, 0.0, 0.2) * 30])
    ((usual, limit),) = decide(window, [2.0])
    # The logarithms have a median of 0 and a median absolute deviation of 0.2.
    assert usual
    assert limit == pytest.approx(math.exp(3 * 1.4826 * 0.2), rel=1e-5)


def test_a_sudden_drop_is_no_fault() -> None:
    window = NormWindow(GuardConfig(), CPU)
    decide(window, clean(100, 3))
    assert decide(window, [1e-6, 0.0])[0][0] is True


def test_a_narrow_window_needs_three_times_the_median_to_skip() -> None:
    window = NormWindow(GuardConfig(), CPU)
    decide(window, [1.0] * 100)
    # The smallest spread of 0.05 puts 8 sigma at a factor of 1.49 already.
    assert [usual for usual, _ in decide(window, [2.9, 3.1])] == [True, False]


def test_where_norms_vary_widely_a_step_beyond_all_measure_is_skipped_still() -> None:
    window = NormWindow(GuardConfig(), CPU)
    assert skips(decide(window, clean(300, 6, spread=0.9))) == 0
    # Eight standard deviations of 0.9 would be a factor of 1300.
    assert decide(window, [200.0])[0][0] is False


def test_a_new_level_is_accepted_after_sixteen_like_steps() -> None:
    window = NormWindow(GuardConfig(), CPU)
    decide(window, clean(200, 4))
    usual = [usual for usual, _ in decide(window, [50.0 + step for step in range(40)])]
    assert usual == [False] * 15 + [True] * 25


def test_skips_that_differ_are_no_new_level() -> None:
    window = NormWindow(GuardConfig(), CPU)
    decide(window, clean(200, 4))
    assert not any(usual for usual, _ in decide(window, [50.0, 500.0] * 20))


def test_decisions_go_on_from_saved_statistics() -> None:
    norms = clean(300, 5)
    norms[170:175] = [100.0] * 5
    straight, first, second = (NormWindow(GuardConfig(), CPU) for _ in range(3))
    expected = decide(straight, norms)
    # In the middle of a row of skips.
    begun = decide(first, norms[:172])
    assert second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert begun + decide(second, norms[172:]) == expected
