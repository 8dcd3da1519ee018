"""A profile must show a trend where there is one, and count each event in its own bin."""

import numpy as np
import pytest

from lib.evaluation.statistics.profile import AXES, MIN_EVENTS_PER_BIN, Axis, Profile, axis_values

AXIS = Axis("u", "true u (cm)", np.linspace(0.0, 10.0, 6))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


def test_a_trend_of_bias_and_width_is_found_within_its_errors(rng: np.random.Generator) -> None:
    profile = Profile(AXIS)
    truth = rng.uniform(0, 10, 40_000)
    profile.add(0.1 * truth + rng.normal(0, 1.0, 40_000) * (1.0 + 0.2 * truth), truth)
    bins = profile.bins()
    np.testing.assert_allclose([one.middle for one in bins], [1, 3, 5, 7, 9], atol=0.05)
    for one in bins:
        assert abs(one.median - 0.1 * one.middle) < 4 * one.median_error
        # The width changes by 15 % within a bin, which widens the core by a per cent.
        assert abs(one.core.sigma - (1.0 + 0.2 * one.middle)) < 4 * one.core.sigma_error + 0.01 * one.core.sigma


def test_events_outside_and_without_truth_are_in_no_bin(rng: np.random.Generator) -> None:
    profile = Profile(AXIS)
    profile.add(rng.normal(size=300), np.repeat([-1.0, 10.5, np.nan], 100))
    assert profile.bins() == []
    profile.add(np.full(100, np.nan), np.full(100, 5.0))
    assert profile.bins() == []


def test_bins_of_few_events_are_left_out(rng: np.random.Generator) -> None:
    profile = Profile(AXIS)
    profile.add(rng.normal(size=MIN_EVENTS_PER_BIN - 1), np.full(MIN_EVENTS_PER_BIN - 1, 1.0))
    assert profile.bins() == []
    profile.add(np.zeros(1), np.ones(1))
    assert len(profile.bins()) == 1


def test_joined_profiles_are_those_of_all_events(rng: np.random.Generator) -> None:
    values, truth = rng.normal(size=2000), rng.uniform(0, 10, 2000)
    left, right, whole = Profile(AXIS), Profile(AXIS), Profile(AXIS)
    left.add(values[:700], truth[:700])
    right.add(values[700:], truth[700:])
    whole.add(values, truth)
    left.join(right)
    assert [one.core for one in left.bins()] == [one.core for one in whole.bins()]
    assert [one.middle for one in left.bins()] == pytest.approx([one.middle for one in whole.bins()])


def test_every_axis_comes_from_the_truth_of_its_task() -> None:
    true = {"uvwFI": np.array([[1.0, 2.0, 3.0]]), "energy": np.array([[0.05]]), "angle": np.array([[80.0, 10.0]])}
    found = {name: values.tolist() for name, values in axis_values(true).items()}
    assert found == {"u": [1.0], "v": [2.0], "w": [3.0], "energy": [50.0], "theta": [80.0], "phi": [10.0]}
    assert set(found) == {axis.name for axis in AXES}
    assert list(axis_values({"timing": np.zeros((1, 1))})) == []
