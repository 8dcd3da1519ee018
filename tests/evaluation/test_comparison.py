"""Reconstructions side by side."""

import numpy as np
import pytest

from lib.evaluation.comparison import format_comparison, format_summaries, summarize_tasks

TRUE = {"energy": np.full((500, 1), 0.05), "uvwFI": np.zeros((500, 3))}


def test_every_quantity_of_every_task_is_summarized() -> None:
    predicted = {"energy": TRUE["energy"] * 1.01, "uvwFI": TRUE["uvwFI"] + [0.1, 0.2, 0.2]}
    summaries = {summary.name: summary for summary in summarize_tasks(predicted, TRUE)}
    assert list(summaries) == ["energy", "u", "v", "w", "distance"]
    assert summaries["energy"].quantile.value == pytest.approx(1.0)
    assert summaries["distance"].quantile.value == pytest.approx(3.0)


def test_a_column_per_reconstruction_and_a_gap_where_one_says_nothing() -> None:
    both = summarize_tasks({"energy": TRUE["energy"] * 1.02, "uvwFI": TRUE["uvwFI"] + 0.5}, TRUE)
    one = summarize_tasks({"energy": TRUE["energy"] * 1.04}, TRUE)
    cores, quantiles = (
        table.splitlines() for table in format_comparison({"network": both, "simple": one}).split("\n\n")
    )
    assert cores[0].split() == ["core", "sigma", "network", "simple"]
    assert [line.split()[0] for line in cores[1:]] == ["energy", "u", "v", "w"]
    assert quantiles[0].split() == ["68", "%", "of", "|residual|", "network", "simple"]
    assert quantiles[1].split() == ["energy", "(%)", "2", "+-", "0", "4", "+-", "0"]
    assert quantiles[2].split() == ["u", "(mm)", "5", "+-", "0"]
    assert quantiles[5].split()[0] == "distance"
    assert len({len(line) for line in cores + quantiles}) == 1


def test_bounds_stand_beside_the_cores_that_have_one() -> None:
    found = summarize_tasks(
        {"uvwFI": np.random.default_rng(0).normal(0.0, 0.2, (4000, 3))}, {"uvwFI": np.zeros((4000, 3))}
    )
    cores = format_comparison({"network": found}, {"u": 0.42, "energy": 0.8}).split("\n\n")[0].splitlines()
    assert cores[0].split()[-1] == "bound"
    assert cores[1].split()[-1] == "0.42"
    assert cores[2].split()[-2] == "+-"


def test_the_table_of_one_reconstruction_gives_core_68_and_bias() -> None:
    residual = np.random.default_rng(0).normal(0.3, 0.2, (4000, 3))
    lines = format_summaries(summarize_tasks({"uvwFI": residual}, {"uvwFI": np.zeros((4000, 3))})).splitlines()
    name, unit, sigma, *_ = lines[1].split()
    assert (name, unit) == ("u", "(mm)")
    # 4000 events know a width to 1.1 %; the cut fit to twice that, and three of those are allowed.
    assert float(sigma) == pytest.approx(2.0, rel=0.07)
    assert lines[4].startswith("distance")
