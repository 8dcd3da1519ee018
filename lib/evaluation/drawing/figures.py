"""Figures of residuals: distribution with the fitted core, profiles along the truth, energy resolution, errors."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.evaluation.drawing.calibration_figure import draw_calibration
from lib.evaluation.drawing.class_figure import draw_classes
from lib.evaluation.drawing.value_text import with_error
from lib.evaluation.statistics.energy_fit import EnergyFit, fit_energy_resolution
from lib.evaluation.statistics.profile import Profile
from lib.evaluation.statistics.resolution import CORE_WINDOW, CoreFit, ResolutionSummary
from lib.evaluation.task_evaluation import COMPONENT_UNITS, Quantity, TaskEvaluation

# Blue and vermilion of the Okabe-Ito palette, which any colour vision tells apart.
DATA_COLOUR: Final = "#0072b2"
FIT_COLOUR: Final = "#d55e00"

NUM_BINS: Final = 80
# Half-width of the histogram in units of the 68 %; what lies beyond is counted in the text.
SHOWN_WIDTH: Final = 5.0
ROW_HEIGHT: Final = 3.3


def draw_task(title: str, task: TaskEvaluation) -> list[Figure]:
    """Draw the pages of a task: distributions, profiles along each axis, energy resolution, predicted errors."""
    if task.classes is not None:
        return [draw_classes(title, task.classes)]
    pages = [draw_distributions(title, task.quantities)]
    pages += [draw_profiles(f"{title}: {quantity.name}", quantity) for quantity in task.quantities if quantity.profiles]
    if task.task == "energy":
        pages += [page for page in (draw_energy_resolution(title, task.quantities[0]),) if page is not None]
    if task.calibrations:
        pages.append(draw_calibration(title, task.calibration_summaries(), COMPONENT_UNITS[task.task]))
    return pages


def draw_distributions(title: str, quantities: Sequence[Quantity]) -> Figure:
    """Draw the distribution of each quantity, linear on the left and with its tails on a logarithmic scale."""
    figure = Figure(figsize=(11, 0.6 + ROW_HEIGHT * len(quantities)), layout="constrained")
    figure.suptitle(title, fontsize=14)
    rows = figure.subplots(len(quantities), 2, squeeze=False)
    for (left, right), quantity in zip(rows, quantities, strict=True):
        summary = quantity.summary()
        draw_distribution(left, quantity, summary, reach=SHOWN_WIDTH)
        outside = _count_outside(left, quantity)
        left.text(
            0.975, 0.955, describe(summary, outside), transform=left.transAxes, ha="right", va="top", fontsize=8.5,
            linespacing=1.35,
        )  # fmt: skip
        draw_distribution(right, quantity, summary, reach=2.5 * SHOWN_WIDTH)
        right.set_yscale("log")
        right.set_ylim(0.5, 3.0 * max(_largest_count(right), 1.0))
    return figure


def draw_distribution(axes: Axes, quantity: Quantity, summary: ResolutionSummary, *, reach: float) -> None:
    """Draw the histogram of one quantity and the fitted core, or the 68 % of a distance.

    Args:
        axes: Where to.
        quantity: What to draw.
        summary: Its numbers.
        reach: Half-width of the histogram in units of the 68 %.
    """
    low, high = _shown_range(summary, reach)
    edges = np.linspace(low, high, NUM_BINS + 1)
    counts = quantity.distribution.histogram(edges)
    axes.stairs(counts, edges, fill=True, color=DATA_COLOUR, alpha=0.25)
    axes.stairs(counts, edges, color=DATA_COLOUR, linewidth=1.0)
    if summary.core is not None and summary.core.sigma > 0:
        _draw_core(axes, summary.core, float(edges[1] - edges[0]))
    if summary.core is None:
        axes.axvline(summary.quantile.value, color=FIT_COLOUR, linewidth=1.8)
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.3 * max(float(counts.max()), 1.0))
    axes.set_xlabel(_axis_label(quantity))
    axes.set_ylabel(f"events / {edges[1] - edges[0]:.3g} {quantity.unit}")


def describe(summary: ResolutionSummary, num_outside: int) -> str:
    """Return the numbers of a summary with errors and units, one per line."""
    unit, lines = summary.unit, []
    if summary.core is not None:
        lines.append(f"core $\\sigma$ = {with_error(summary.core.sigma, summary.core.sigma_error)} {unit}")
    lines.append(f"68 % = {with_error(summary.quantile.value, summary.quantile.error)} {unit}")
    if summary.core is not None:
        lines.append(f"bias = {with_error(summary.core.mean, summary.core.mean_error)} {unit}")
    if summary.shape is not None:
        shape = summary.shape
        lines.append(f"rms = {with_error(shape.rms, shape.rms_error)} {unit}")
        lines.append(f"skewness = {with_error(shape.skewness, shape.skewness_error)}")
        lines.append(f"below $-3\\sigma$ {100 * shape.tail_low:.2f} %")
        lines.append(f"above $+3\\sigma$ {100 * shape.tail_high:.2f} %")
    lines.append(f"{summary.num_events} events, {num_outside} outside")
    if summary.num_invalid:
        lines.append(f"{summary.num_invalid} not finite")
    return "\n".join(lines)


def draw_profiles(title: str, quantity: Quantity) -> Figure:
    """Draw bias and width of one quantity along each axis."""
    num_rows = -(-len(quantity.profiles) // 3)
    figure = Figure(figsize=(11, 0.6 + ROW_HEIGHT * num_rows), layout="constrained")
    figure.suptitle(title, fontsize=14)
    panels = figure.subplots(num_rows, 3, squeeze=False).ravel()
    for axes, profile in zip(panels, quantity.profiles, strict=False):
        draw_profile(axes, quantity, profile)
    for axes in panels[len(quantity.profiles) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def draw_profile(axes: Axes, quantity: Quantity, profile: Profile) -> None:
    """Draw 68 %, core width and bias of one quantity along one axis; a distance has its 68 % and median."""
    bins = profile.bins()
    axes.set_xlabel(profile.axis.label)
    axes.set_ylabel(f"{quantity.name} ({quantity.unit})")
    if not bins:
        axes.text(0.5, 0.5, "too few events", transform=axes.transAxes, ha="center", color="0.4")
        return
    middle = [one.middle for one in bins]
    widths = [one.quantile for one in bins]
    axes.errorbar(
        middle, [one.value for one in widths], [one.error for one in widths], fmt="s", markersize=4,
        color=DATA_COLOUR, markerfacecolor="white", label="68 %",
    )  # fmt: skip
    if not quantity.is_distance:
        cores = [one.core for one in bins]
        axes.errorbar(
            middle, [core.sigma for core in cores], [core.sigma_error for core in cores], fmt="o", markersize=4,
            color=DATA_COLOUR, label=r"core $\sigma$",
        )  # fmt: skip
        axes.axhline(0.0, color="0.4", linewidth=0.8, linestyle="--", zorder=0)
    medians, errors = [one.median for one in bins], [one.median_error for one in bins]
    axes.errorbar(middle, medians, errors, fmt="v", markersize=4, color=FIT_COLOUR, label="median")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.0), 1.1 * high)


def draw_energy_resolution(title: str, quantity: Quantity) -> Figure | None:
    """Draw the core width along the energy with the fit of its three terms; None for fewer than four points."""
    profile = next((one for one in quantity.profiles if one.axis.name == "energy"), None)
    fit = fit_energy_resolution(profile.bins()) if profile is not None else None
    if profile is None or fit is None:
        return None
    figure = Figure(figsize=(6.5, 4.6), layout="constrained")
    figure.suptitle(title, fontsize=14)
    axes = figure.subplots()
    cores = [(one.middle, one.core.sigma, one.core.sigma_error) for one in profile.bins()]
    middle, sigma, error = np.array(cores).T
    axes.errorbar(middle, sigma, error, fmt="o", markersize=5, color=DATA_COLOUR, label=r"core $\sigma$")
    energy = np.linspace(middle.min(), middle.max(), 200)
    axes.plot(energy, fit.resolution(1e-3 * energy), color=FIT_COLOUR, linewidth=1.8, label=_fit_label(fit))
    axes.set_xlabel(profile.axis.label)
    axes.set_ylabel(r"$\sigma_E / E$ (%)")
    axes.set_ylim(0.0, 1.1 * float((sigma + error).max()))
    # Zero is on the axis, so the room is below the points.
    axes.legend(frameon=False, fontsize=10, loc="lower left")
    return figure


def _fit_label(fit: EnergyFit) -> str:
    terms = []
    for name, value, error in zip("abc", fit.terms, fit.errors, strict=True):
        terms.append(f"{name} = {with_error(value, error) if np.isfinite(error) else '0'} %")
    formula = r"$a/\sqrt{E} \oplus b \oplus c/E$ ($E$ in GeV)"
    return "\n".join([formula, *terms, f"$\\chi^2$ = {fit.chi_square:.1f} / {fit.degrees}"])


def _count_outside(axes: Axes, quantity: Quantity) -> int:
    shown = quantity.distribution.histogram(np.array(axes.get_xlim())).sum()
    return round(quantity.distribution.num_values - float(shown))


def _largest_count(axes: Axes) -> float:
    return float(max(patch.get_data().values.max() for patch in axes.patches))  # type: ignore[attr-defined]


def _draw_core(axes: Axes, core: CoreFit, bin_width: float) -> None:
    """Draw the fitted Gaussian, solid within the window of the fit and dotted beyond."""
    # 95.45 % of a Gaussian lie within the window.
    area = core.num_core / 0.9545 * bin_width
    for reach, style in ((2.0 * CORE_WINDOW, ":"), (CORE_WINDOW, "-")):
        pull = np.linspace(-reach, reach, 200)
        density = np.exp(-0.5 * pull**2) / (np.sqrt(2.0 * np.pi) * core.sigma)
        axes.plot(core.mean + pull * core.sigma, area * density, style, color=FIT_COLOUR, linewidth=1.8)


def _shown_range(summary: ResolutionSummary, reach: float) -> tuple[float, float]:
    width = reach * summary.quantile.value
    if not width > 0:
        return -1.0, 1.0
    if summary.core is None:
        return 0.0, width
    centre = summary.core.mean if np.isfinite(summary.core.mean) else 0.0
    return centre - width, centre + width


def _axis_label(quantity: Quantity) -> str:
    return f"{quantity.label} ({quantity.unit})"
