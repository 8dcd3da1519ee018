"""An evaluation must not depend on how events come, nor keep them."""

import tracemalloc

import numpy as np
import pytest

from lib.evaluation.evaluation import BLOCK_EVENTS, RegressionEvaluation


def events(count: int, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    true = {
        "uvwFI": rng.uniform([-20, -60, 0], [20, 60, 15], (count, 3)),
        "energy": rng.uniform(0.015, 0.06, (count, 1)),
        "angle": rng.uniform([70, -50], [110, 50], (count, 2)),
    }
    predicted = {
        "energy": true["energy"] * (1.0 + 0.015 * rng.normal(size=(count, 1))),
        "energy_sigma": 0.015 * true["energy"],
    }
    return predicted, true


def test_batches_of_any_size_give_the_same() -> None:
    predicted, true = events(3000)
    whole, pieces = RegressionEvaluation(["energy"]), RegressionEvaluation(["energy"])
    whole.add(predicted, true)
    for rows in (slice(0, 1), slice(1, 2000), slice(2000, 3000)):
        pieces.add({k: v[rows] for k, v in predicted.items()}, {k: v[rows] for k, v in true.items()})
    assert whole.num_events == pieces.num_events == 3000
    assert whole.tasks["energy"].summaries() == pieces.tasks["energy"].summaries()
    first, second = (one.tasks["energy"].calibration_summaries()[0] for one in (whole, pieces))
    assert (first.ratio, first.coverage) == (second.ratio, second.coverage)


def test_joined_evaluations_are_those_of_all_events() -> None:
    parts = [events(1500, seed) for seed in (1, 2)]
    whole, left, right = (RegressionEvaluation(["energy"]) for _ in range(3))
    for part, one in zip(parts, (left, right), strict=True):
        one.add(*part)
        whole.add(*part)
    left.join(right)
    (joined,), (expected,) = (one.tasks["energy"].summaries() for one in (left, whole))
    assert left.num_events == 3000
    assert (joined.core, joined.quantile) == (expected.core, expected.quantile)
    assert joined.shape.rms == pytest.approx(expected.shape.rms, rel=1e-12)
    empty = RegressionEvaluation(["energy"])
    empty.join(left)
    assert empty.tasks["energy"].summaries()[0].core == expected.core


def test_events_without_truth_are_counted_apart() -> None:
    predicted, true = events(100)
    true["energy"][:7] = 1e10
    evaluation = RegressionEvaluation(["energy"])
    evaluation.add(predicted, true)
    (summary,) = evaluation.tasks["energy"].summaries()
    assert (summary.num_events, summary.num_invalid) == (93, 7)


def test_memory_does_not_grow_with_the_events() -> None:
    evaluation = RegressionEvaluation(["energy"])
    block = events(BLOCK_EVENTS)
    evaluation.add(*block)
    tracemalloc.start()
    for _ in range(12):
        evaluation.add(*block)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert evaluation.num_events == 13 * BLOCK_EVENTS
    # One event more than a kilobyte would be 200 MB.
    assert kept < 1_000_000


@pytest.mark.slow
def test_ten_million_events_need_no_more_memory_than_a_hundred_thousand() -> None:
    evaluation = RegressionEvaluation(["energy"])
    block = events(BLOCK_EVENTS)
    for _ in range(6):
        evaluation.add(*block)
    tracemalloc.start()
    while evaluation.num_events < 10_000_000:
        evaluation.add(*block)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
    (summary,) = evaluation.tasks["energy"].summaries()
    assert summary.core.sigma == pytest.approx(1.5, rel=0.02)
