"""Confusion matrix and log loss."""

import numpy as np
import pytest

from lib.evaluation.drawing.class_figure import draw_classes
from lib.evaluation.statistics.class_counts import ClassCounts


def test_rows_are_true_and_columns_predicted_classes() -> None:
    found = ClassCounts(3)
    found.add(
        np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3], [0.9, 0.1, 0.0]]), np.array([[0], [1], [1], [7]])
    )
    assert found.matrix.tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    score = found.score()
    assert (score.num_events, score.accuracy) == (4, 0.5)
    assert score.log_loss == pytest.approx(-np.log([0.7, 0.1, 0.5, 1e-30]).mean())


def test_joined_counts_add_up_and_none_have_no_score() -> None:
    left, right = ClassCounts(2), ClassCounts(2)
    left.add(np.array([[0.9, 0.1]]), np.array([[0.0]]))
    right.add(np.array([[0.9, 0.1], [np.nan, 1.0]]), np.array([[1.0], [0.0]]))
    left.join(right)
    assert left.matrix.tolist() == [[1, 0], [1, 0]]
    assert np.isnan(ClassCounts(2).score().accuracy)


def test_the_figure_names_the_last_class_open() -> None:
    found = ClassCounts(5)
    found.add(np.eye(5), np.arange(5)[:, None].astype(float))
    axes = draw_classes("n_gamma", found).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "1", "2", "3", "4+"]
    assert "100 % right" in axes.get_title()
