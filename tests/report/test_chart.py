"""Charts must put values where they belong, and survive values that no axis likes."""

import math
import re

import pytest

from lib.report.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Series, histogram, line_chart


def points(chart: str) -> list[tuple[float, float]]:
    """Points of the first curve."""
    found = re.search(r'<polyline points="([^"]*)"', chart)
    assert found
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found[1].split())]


def test_a_straight_line_stays_straight_and_inside_the_frame() -> None:
    placed = points(line_chart("t", "y", [Series("a", [1, 2, 3], [5.0, 6.0, 7.0])]))
    assert placed[0][0] == LEFT
    assert placed[-1][0] == WIDTH - RIGHT
    assert placed[0][1] - placed[1][1] == pytest.approx(placed[1][1] - placed[2][1], abs=0.11)
    assert all(TOP <= y <= HEIGHT - BOTTOM for _, y in placed)


def test_values_over_decades_are_logarithmic() -> None:
    placed = points(line_chart("t", "y", [Series("a", [1, 2, 3], [1.0, 100.0, 10000.0])]))
    assert placed[0][1] - placed[1][1] == pytest.approx(placed[1][1] - placed[2][1], abs=0.11)


def test_gaps_are_left_out() -> None:
    assert len(points(line_chart("t", "y", [Series("a", [1, 2, 3], [1.0, math.nan, math.inf])]))) == 1


@pytest.mark.parametrize("values", [[0.0], [3.0, 3.0], [-2.0, -2.0], [1e-30, 1e30], [-1e-12, 1e-12]])
def test_odd_ranges_have_finite_places(values: list[float]) -> None:
    chart = line_chart("t", "y", [Series("a", [float(n) for n in range(len(values))], values)])
    assert "nan" not in chart
    assert all(0 <= y <= HEIGHT for _, y in points(chart))


def test_labels_that_do_not_fit_beside_each_other_take_rows() -> None:
    chart = line_chart("t", "y", [Series("a long name of a run " + str(n), [1, 2], [1.0, 2.0]) for n in range(4)])
    box = re.search(r'viewBox="0 0 460 ([\d.]+)"', chart)
    assert box
    assert float(box[1]) == HEIGHT + 4 * 18


def test_a_histogram_spans_its_edges_and_counts() -> None:
    chart = histogram("t", "x", [0, 10, 5], [0.0, 1.0, 2.0, 3.0])
    assert "15 events between 0 and 3" in chart
    assert f"H{WIDTH - RIGHT:.1f}" in chart
