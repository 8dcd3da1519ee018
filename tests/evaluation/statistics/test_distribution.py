"""A distribution in bins must say what its values would."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.evaluation.statistics.distribution import COARSE, FINE, Distribution
from lib.evaluation.statistics.resolution import core_sigma, quantile_68, summarize_distribution


def filled(values: np.ndarray, accuracy: float = FINE) -> Distribution:
    found = Distribution(accuracy)
    found.add(values)
    return found


@given(value=st.floats(1e-14, 1e8), negative=st.booleans(), accuracy=st.sampled_from([FINE, COARSE]))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_every_value_is_known_to_the_stated_accuracy(value: float, negative: bool, accuracy: float) -> None:
    value = -value if negative else value
    (middle,), (count,) = filled(np.array([value]), accuracy).filled_bins()
    assert count == 1
    assert abs(middle - value) <= 1.000001 * accuracy * abs(value)


def test_zero_and_what_is_beyond_all_bins_are_counted() -> None:
    found = filled(np.array([0.0, 1e-20, -1e-20, 1e12, -1e12, np.nan, np.inf]))
    values, counts = found.filled_bins()
    assert counts.tolist() == [1, 3, 1]
    assert values[1] == 0.0
    assert (found.num_values, found.num_invalid) == (5, 2)


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_core_and_68_percent_agree_with_those_of_the_values(shift: float) -> None:
    values = np.random.default_rng(2).standard_t(4, 50_000) + shift
    values_of_bins, counts = filled(values).filled_bins()
    exact, binned = core_sigma(values), core_sigma(values_of_bins, counts)
    assert binned.sigma == pytest.approx(exact.sigma, rel=3e-3)
    assert abs(binned.mean - exact.mean) < 0.2 * exact.mean_error
    assert quantile_68(values_of_bins, counts).value == pytest.approx(quantile_68(values).value, rel=2 * FINE)


def test_joined_distributions_are_those_of_all_values() -> None:
    values = np.random.default_rng(3).normal(0.0, 2.0, 10_000)
    left, right, whole = filled(values[:3000]), filled(values[3000:]), filled(values)
    left.join(right)
    assert all(np.array_equal(*pair) for pair in zip(left.filled_bins(), whole.filled_bins(), strict=True))
    assert left.moments.rms == pytest.approx(whole.moments.rms, rel=1e-12)


def test_distributions_of_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match=r"accuracy 0\.001 and 0\.01 cannot be joined"):
        Distribution(FINE).join(Distribution(COARSE))


def test_a_histogram_holds_all_values_and_shares_out_cut_bins() -> None:
    values = np.random.default_rng(4).normal(0.0, 1.0, 100_000)
    edges = np.linspace(-6.0, 6.0, 41)
    counts = filled(values).histogram(edges)
    assert counts.sum() == pytest.approx(100_000, rel=1e-9)
    expected, _ = np.histogram(values, edges)
    # Values within 0.1 % of an edge may be counted on the other side of it.
    np.testing.assert_allclose(counts, expected, atol=60.0)


def test_the_shape_of_a_skew_distribution_has_its_errors() -> None:
    sample = [np.random.default_rng(seed).gamma(4.0, 1.0, 2000) for seed in range(60)]
    shapes = [summarize_distribution("x", "1", filled(values), is_distance=False).shape for values in sample[:4]]
    scatter = np.std([values.std() for values in sample])
    for shape in shapes:
        # 60 samples know a spread to 9 %, 100 replicas to 7 %.
        assert shape.rms_error == pytest.approx(scatter, rel=0.4)
        assert abs(shape.rms - 2.0) < 4 * shape.rms_error
        assert shape.tail_low < 0.001 < shape.tail_high


def test_memory_stays_flat_for_a_million_values() -> None:
    found = Distribution()
    rng = np.random.default_rng(5)
    found.add(rng.normal(size=10_000))
    tracemalloc.start()
    for _ in range(100):
        found.add(rng.normal(size=10_000))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.num_values == 1_010_000
    # The bins were there before; nothing of the values may stay.
    assert kept < 100_000
