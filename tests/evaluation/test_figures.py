"""Resolution figures must say every number with error and unit, and be drawn for whatever a model predicts."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from lib.evaluation.figure_file import save_figure
from lib.evaluation.figures import describe, draw_distribution, draw_profile, draw_resolutions
from lib.evaluation.residuals import Residuals, task_residuals
from lib.evaluation.resolution import CoreFit, Quantile, ResolutionSummary


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


@pytest.fixture
def energy(rng: np.random.Generator) -> Residuals:
    values, truth = rng.normal(0, 1.2, 4000), rng.uniform(15, 60, 4000)
    return Residuals("energy", "%", values, truth, "ratio", "true energy (MeV)")


def predictions(task: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    width = {"uvwFI": 3, "angle": 2}.get(task, 1)
    true = rng.uniform(0.02, 0.06, (400, width))
    return true + rng.normal(0, 1e-3, true.shape), true


@pytest.mark.parametrize(("task", "rows"), [("angle", 3), ("energy", 1), ("timing", 1), ("uvwFI", 4)])
def test_each_task_has_a_row_for_each_of_its_quantities(task: str, rows: int, tmp_path: Path) -> None:
    quantities = task_residuals(task, *predictions(task))
    figure = draw_resolutions(task, quantities)
    assert len(figure.axes) == 2 * rows
    for residuals, left, right in zip(quantities, figure.axes[::2], figure.axes[1::2], strict=True):
        assert left.get_xlabel() == right.get_ylabel() == f"{residuals.label} ({residuals.unit})"
        assert right.get_xlabel() == residuals.truth_label
    if task == "angle":
        save_figure(figure, tmp_path / "resolution.pdf")
        assert b"/Type3" not in (tmp_path / "resolution.pdf").read_bytes()


def test_numbers_are_rounded_to_their_errors_and_carry_units() -> None:
    core = CoreFit(sigma=1.2345, sigma_error=0.0123, mean=-0.0567, mean_error=0.0149, num_core=9000)
    text = describe(ResolutionSummary("energy", "%", 9990, 10, Quantile(1.7, 0.021), core), num_outside=120)
    assert text.splitlines() == [
        r"core $\sigma$ = 1.234 ± 0.012 %",
        "68 % = 1.700 ± 0.021 %",
        "bias = −0.057 ± 0.015 %",
        "9990 events, 120 outside",
        "10 not finite",
    ]


def test_large_and_exact_numbers_are_readable_too() -> None:
    text = describe(ResolutionSummary("time", "ps", 100, 0, Quantile(4321.6, 123.4), None), num_outside=0)
    assert text.splitlines() == ["68 % = 4322 ± 123 ps", "100 events, 0 outside"]
    assert describe(ResolutionSummary("time", "ps", 0, 0, Quantile(0.5, 0.0), None), 0).startswith("68 % = 0.5 ps")


def test_the_curve_holds_as_many_events_as_the_core(energy: Residuals) -> None:
    axes = Figure().add_subplot()
    draw_distribution(axes, energy)
    solid = axes.lines[-1].get_xydata()
    bin_width = np.diff(axes.patches[0].get_data().edges)[0]
    # Between -2 and 2 sigma lie 95.45 % of 4000 events; the histogram's share of them follows by its bins.
    assert np.trapezoid(solid[:, 1], solid[:, 0]) / bin_width == pytest.approx(0.9545 * 4000, rel=0.02)


def test_what_lies_outside_the_histogram_is_counted(rng: np.random.Generator) -> None:
    axes = Figure().add_subplot()
    values = np.append(rng.normal(0, 1, 1000), [50.0, -70.0, 90.0])
    draw_distribution(axes, Residuals("u", "mm", values, np.zeros(1003), "difference", "true u (cm)"))
    assert "1003 events, 3 outside" in axes.texts[0].get_text()
    assert axes.patches[0].get_data().values.sum() == 1000


def test_the_68_percent_of_a_distance_is_marked() -> None:
    axes = Figure().add_subplot()
    distances = Residuals("d", "mm", np.linspace(0, 1, 1001), np.zeros(1001), "distance", "w", is_distance=True)
    draw_distribution(axes, distances)
    assert axes.lines[0].get_xdata()[0] == pytest.approx(0.68)
    assert axes.get_xlim()[0] == 0.0


def test_the_profile_shows_the_medians(energy: Residuals) -> None:
    axes = Figure().add_subplot()
    draw_profile(axes, energy)
    medians = axes.containers[0].lines[0].get_xydata()
    assert medians.shape == (12, 2)
    assert np.abs(medians[:, 1]).max() < 0.4


@pytest.mark.parametrize("num_events", [0, 1, 30])
@pytest.mark.parametrize("is_distance", [False, True])
def test_any_number_of_events_can_be_drawn(rng: np.random.Generator, num_events: int, is_distance: bool) -> None:
    values = np.abs(rng.normal(size=num_events))
    few = Residuals("u", "mm", values, rng.normal(size=num_events), "difference", "true u (cm)", is_distance)
    figure = draw_resolutions("few events", [few])
    figure.draw_without_rendering()
    assert f"{num_events} events" in figure.axes[0].texts[0].get_text()


def test_a_model_that_predicts_nothing_finite_is_told() -> None:
    nothing = Residuals("u", "mm", np.full(50, np.nan), np.zeros(50), "difference", "true u (cm)")
    figure = draw_resolutions("no prediction", [nothing])
    figure.draw_without_rendering()
    assert "50 not finite" in figure.axes[0].texts[0].get_text()
