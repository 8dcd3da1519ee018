"""Predictions must meet the truth of the same event, and an event without truth must not count."""

import numpy as np
import pytest

from lib.evaluation.comparison import summarize_tasks
from lib.evaluation.statistics.resolution import ResolutionSummary
from lib.export.metadata import OutputDescription
from lib.export.truth_comparison import TruthComparison

ENERGY = OutputDescription("energy", ("energy",), "GeV", "energyTruth")
POSITION = OutputDescription("uvwFI", ("u", "v", "w"), "cm", "uvwTruth")


def column(values: object) -> np.ndarray:
    return np.asarray(values, dtype=np.float32).reshape(-1, 1)


def by_name(comparison: TruthComparison) -> dict[str, ResolutionSummary]:
    return {summary.name: summary for summary in comparison.summaries()}


def test_width_and_bias_of_a_known_distribution() -> None:
    comparison = TruthComparison([ENERGY])
    shift = np.linspace(-0.5, 1.5, 201)  # in per cent: uniform around 0.5
    comparison.add({"energy": column(0.05 * (1 + shift / 100))}, {"energyTruth": column(np.full(201, 0.05))})
    energy = by_name(comparison)["energy"]
    assert energy.unit == "%"
    assert energy.core is not None
    assert energy.core.mean == pytest.approx(0.5, abs=0.01)
    assert energy.quantile.value == pytest.approx(0.86, abs=0.01)


def test_batches_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    predicted, true = rng.normal(size=(2, 60, 3)).astype(np.float32)
    parts = TruthComparison([POSITION])
    for rows in (slice(0, 7), slice(7, 60)):
        parts.add({"uvwFI": predicted[rows]}, {"uvwTruth": true[rows], "energyTruth": column(np.ones(60))})
    assert parts.summaries() == summarize_tasks({"uvwFI": predicted}, {"uvwFI": true})


def test_events_without_truth_or_prediction_are_counted_and_left_out() -> None:
    comparison = TruthComparison([ENERGY, POSITION])
    comparison.add(
        {"energy": column([0.01, 0.02, 0.03, np.nan]), "uvwFI": np.zeros((4, 3), np.float32)},
        {"energyTruth": column([0.01, 1e10, np.nan, 0.04]), "uvwTruth": np.zeros((4, 3), np.float32)},
    )
    summaries = by_name(comparison)
    assert (summaries["energy"].num_events, summaries["energy"].num_invalid) == (1, 3)
    assert summaries["energy"].quantile.value == 0.0
    assert summaries["distance"].num_events == 4
