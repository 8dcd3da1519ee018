"""Resolution figures must say every number with error and unit, and be drawn for whatever a model predicts."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from lib.evaluation.drawing.comparison_figure import draw_comparison
from lib.evaluation.drawing.figure_file import save_figures
from lib.evaluation.drawing.figures import describe, draw_distribution, draw_distributions, draw_task
from lib.evaluation.evaluation import RegressionEvaluation
from lib.evaluation.statistics.distribution import Distribution
from lib.evaluation.statistics.resolution import CoreFit, Quantile, ResolutionSummary, Shape
from lib.evaluation.task_evaluation import Quantity


def quantity(values: np.ndarray, *, is_distance: bool = False) -> Quantity:
    found = Distribution()
    found.add(values)
    return Quantity("u", "mm", "difference", is_distance, found, ())


def evaluated(task: str, count: int = 600, seed: int = 8, *, errors: bool = False) -> RegressionEvaluation:
    rng = np.random.default_rng(seed)
    truth = {
        "uvwFI": rng.uniform([-20, -60, 0], [20, 60, 15], (count, 3)),
        "energy": rng.uniform(0.015, 0.06, (count, 1)),
        "angle": rng.uniform([70, -50], [110, 50], (count, 2)),
        "timing": rng.uniform(-1e-8, 1e-8, (count, 1)),
        "n_gamma": rng.integers(0, 5, (count, 1)).astype(float),
    }
    predicted = {task: truth[task] * (1.0 + 0.01 * rng.normal(size=truth[task].shape))}
    if task == "n_gamma":
        predicted = {task: np.eye(5)[rng.integers(0, 5, count)]}
    if errors:
        predicted[f"{task}_sigma"] = 0.01 * np.abs(truth[task])
    evaluation = RegressionEvaluation([task])
    evaluation.add(predicted, truth)
    return evaluation


@pytest.mark.parametrize(
    ("task", "errors", "pages"),
    [("angle", False, 4), ("energy", True, 4), ("timing", False, 2), ("uvwFI", True, 6), ("n_gamma", False, 1)],
)
def test_each_task_has_its_pages_with_fonts_that_stay_text(task: str, errors: bool, pages: int, tmp_path: Path) -> None:
    figures = draw_task(task, evaluated(task, errors=errors).tasks[task])
    assert len(figures) == pages
    save_figures(figures, tmp_path / "resolution.pdf")
    content = (tmp_path / "resolution.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/Type3" not in content


def test_every_axis_of_every_page_has_a_name_and_a_unit() -> None:
    for task in ("energy", "uvwFI", "timing", "angle"):
        for figure in draw_task(task, evaluated(task).tasks[task]):
            for axes in figure.axes:
                if axes.axison:
                    assert axes.get_xlabel().endswith(")")
                    assert axes.get_ylabel().split()[-1].strip("()") in {"%", "mm", "ps", "deg"}


def test_numbers_are_rounded_to_their_errors_and_carry_units() -> None:
    core = CoreFit(sigma=1.2345, sigma_error=0.0123, mean=-0.0567, mean_error=0.0149, num_core=9000)
    shape = Shape(1.9, 0.03, -0.41, 0.05, 0.0213, 0.001)
    text = describe(ResolutionSummary("energy", "%", 9990, 10, Quantile(1.7, 0.021), core, shape), num_outside=120)
    assert text.splitlines() == [
        r"core $\sigma$ = 1.234 ± 0.012 %",
        "68 % = 1.700 ± 0.021 %",
        "bias = −0.057 ± 0.015 %",
        "rms = 1.900 ± 0.030 %",
        "skewness = −0.410 ± 0.050",
        r"below $-3\sigma$ 2.13 %",
        r"above $+3\sigma$ 0.10 %",
        "9990 events, 120 outside",
        "10 not finite",
    ]


def test_large_and_exact_numbers_are_readable_too() -> None:
    text = describe(ResolutionSummary("time", "ps", 100, 0, Quantile(4321.6, 123.4), None), num_outside=0)
    assert text.splitlines() == ["68 % = 4322 ± 123 ps", "100 events, 0 outside"]
    assert describe(ResolutionSummary("time", "ps", 0, 0, Quantile(0.5, 0.0), None), 0).startswith("68 % = 0.5 ps")


def test_the_curve_holds_as_many_events_as_the_core() -> None:
    axes = Figure().add_subplot()
    found = quantity(np.random.default_rng(6).normal(0, 1.2, 4000))
    draw_distribution(axes, found, found.summary(), reach=4.0)
    solid = axes.lines[-1].get_xydata()
    bin_width = np.diff(axes.patches[0].get_data().edges)[0]
    # Between -2 and 2 sigma lie 95.45 % of 4000 events; the histogram's share of them follows by its bins.
    assert np.trapezoid(solid[:, 1], solid[:, 0]) / bin_width == pytest.approx(0.9545 * 4000, rel=0.02)


def test_what_lies_outside_the_histogram_is_counted() -> None:
    values = np.append(np.random.default_rng(6).normal(0, 1, 1000), [50.0, -70.0, 90.0])
    figure = draw_distributions("u", [quantity(values)])
    assert "1003 events, 3 outside" in figure.axes[0].texts[0].get_text()
    assert figure.axes[0].patches[0].get_data().values.sum() == pytest.approx(1000)


def test_the_68_percent_of_a_distance_is_marked() -> None:
    axes = Figure().add_subplot()
    found = quantity(np.linspace(0, 1, 1001), is_distance=True)
    draw_distribution(axes, found, found.summary(), reach=4.0)
    assert axes.lines[0].get_xdata()[0] == pytest.approx(0.68, rel=2e-3)
    assert axes.get_xlim()[0] == 0.0


@pytest.mark.parametrize("num_events", [0, 1, 30])
@pytest.mark.parametrize("is_distance", [False, True])
def test_any_number_of_events_can_be_drawn(num_events: int, is_distance: bool) -> None:
    values = np.abs(np.random.default_rng(6).normal(size=num_events))
    figure = draw_distributions("few events", [quantity(values, is_distance=is_distance)])
    figure.draw_without_rendering()
    assert f"{num_events} events" in figure.axes[0].texts[0].get_text()


def test_a_model_that_predicts_nothing_finite_is_told() -> None:
    figure = draw_distributions("no prediction", [quantity(np.full(50, np.nan))])
    figure.draw_without_rendering()
    assert "50 not finite" in figure.axes[0].texts[0].get_text()


def test_runs_are_laid_over_each_other_with_their_numbers() -> None:
    (page,) = draw_comparison({"first": evaluated("uvwFI"), "second": evaluated("uvwFI", seed=9)})
    assert len(page.axes) == 4
    for axes in page.axes:
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert [label.split(":")[0] for label in labels] == ["first", "second"]
        assert all("68 % = " in label and label.endswith(" mm") for label in labels)
    page.draw_without_rendering()
