"""Widths and biases against closed forms."""

import numpy as np
import pytest

from lib.export.metadata import OutputDescription
from lib.export.truth_comparison import TruthComparison, format_rows

ENERGY = OutputDescription("energy", ("energy",), "GeV", "energyTruth")
ANGLE = OutputDescription("angle", ("theta", "phi"), "deg", "emiAng")
POSITION = OutputDescription("uvwFI", ("u", "v", "w"), "cm", "uvwTruth")


def column(values: object) -> np.ndarray:
    return np.asarray(values, dtype=np.float32).reshape(-1, 1)


def test_width_and_bias_of_a_known_distribution() -> None:
    comparison = TruthComparison([ENERGY])
    comparison.add({"energy": column(np.arange(101) + 2.0)}, {"energyTruth": column(np.full(101, 2.0))})
    (row,) = comparison.rows()
    assert (row.task, row.label, row.unit, row.num_events) == ("energy", "energy", "GeV", 101)
    assert row.width_68 == pytest.approx(68.0)
    assert row.bias == pytest.approx(50.0)


def test_batches_add_up() -> None:
    rng = np.random.default_rng(0)
    predicted, true = rng.normal(size=(2, 60, 3)).astype(np.float32)
    whole, parts = TruthComparison([POSITION]), TruthComparison([POSITION])
    whole.add({"uvwFI": predicted}, {"uvwTruth": true})
    for rows in (slice(0, 7), slice(7, 60)):
        parts.add({"uvwFI": predicted[rows]}, {"uvwTruth": true[rows]})
    assert parts.rows() == whole.rows()


def test_position_has_its_distance_and_direction_its_opening_angle() -> None:
    comparison = TruthComparison([ANGLE, POSITION])
    comparison.add(
        {"angle": np.array([[90.0, 3.0]], np.float32), "uvwFI": np.array([[3.0, 0.0, 4.0]], np.float32)},
        {"emiAng": np.array([[90.0, 0.0]], np.float32), "uvwTruth": np.zeros((1, 3), np.float32)},
    )
    rows = {(row.task, row.label): row for row in comparison.rows()}
    assert rows["angle", "opening angle"].width_68 == pytest.approx(3.0, rel=1e-4)
    assert rows["uvwFI", "distance"].width_68 == pytest.approx(5.0)
    assert rows["uvwFI", "distance"].bias is None
    assert rows["uvwFI", "w"].bias == pytest.approx(4.0)


def test_events_without_truth_are_left_out() -> None:
    comparison = TruthComparison([ENERGY])
    comparison.add({"energy": column([1, 2, 3, np.nan])}, {"energyTruth": column([1, 1e10, np.nan, 1])})
    assert comparison.rows()[0].num_events == 1
    assert comparison.rows()[0].width_68 == 0.0


def test_without_any_truth_the_numbers_are_not_numbers() -> None:
    comparison = TruthComparison([ENERGY])
    comparison.add({"energy": column([1.0])}, {"energyTruth": column([1e10])})
    (row,) = comparison.rows()
    assert np.isnan(row.width_68)
    assert row.num_events == 0


def test_the_table_has_a_line_per_quantity() -> None:
    comparison = TruthComparison([ENERGY, POSITION])
    comparison.add(
        {"energy": column([0.05]), "uvwFI": np.ones((1, 3), np.float32)},
        {"energyTruth": column([0.04]), "uvwTruth": np.zeros((1, 3), np.float32)},
    )
    lines = format_rows(comparison.rows()).splitlines()
    assert lines[0].split() == ["quantity", "68", "%", "bias", "unit", "events"]
    assert lines[1].split() == ["energy", "energy", "0.01", "0.01", "GeV", "1"]
    assert lines[5].split() == ["uvwFI", "distance", "1.732", "cm", "1"]
