"""Figures of residuals: their distribution with the fitted core, and their profile along the truth."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.evaluation.profile import profile
from lib.evaluation.residuals import Residuals
from lib.evaluation.resolution import CORE_WINDOW, CoreFit, ResolutionSummary, summarize

# Blue and vermilion of the Okabe-Ito palette, which any colour vision tells apart.
DATA_COLOUR: Final = "#0072b2"
FIT_COLOUR: Final = "#d55e00"

NUM_BINS: Final = 80
# Half-width of the histogram in units of the 68 %; what lies beyond is counted in the text.
SHOWN_WIDTH: Final = 4.0


def draw_resolutions(title: str, quantities: list[Residuals]) -> Figure:
    """Draw one row per quantity: its distribution on the left, its profile on the right."""
    num_rows = len(quantities)
    figure = Figure(figsize=(11, 0.6 + 3.3 * num_rows), layout="constrained")
    figure.suptitle(title, fontsize=14)
    rows = figure.subplots(num_rows, 2, squeeze=False, width_ratios=(1.15, 1.0))
    for (left, right), residuals in zip(rows, quantities, strict=True):
        draw_distribution(left, residuals)
        draw_profile(right, residuals)
    return figure


def draw_distribution(axes: Axes, residuals: Residuals) -> None:
    """Draw the histogram of one quantity, the fitted core and the numbers with their errors."""
    summary = summarize(residuals)
    finite = residuals.values[np.isfinite(residuals.values)]
    low, high = _shown_range(summary)
    counts, edges = np.histogram(finite, NUM_BINS, (low, high))
    axes.stairs(counts, edges, fill=True, color=DATA_COLOUR, alpha=0.25)
    axes.stairs(counts, edges, color=DATA_COLOUR, linewidth=1.0)
    if summary.core is not None and summary.core.sigma > 0:
        _draw_core(axes, summary.core, float(edges[1] - edges[0]))
    if summary.core is None:
        axes.axvline(summary.quantile.value, color=FIT_COLOUR, linewidth=1.8)
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.15 * max(int(counts.max()), 1))
    axes.set_xlabel(_axis_label(residuals))
    axes.set_ylabel(f"events / {edges[1] - edges[0]:.3g} {residuals.unit}")
    outside = len(finite) - int(counts.sum())
    axes.text(
        0.975,
        0.955,
        describe(summary, outside),
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=9,
        linespacing=1.4,
    )


def describe(summary: ResolutionSummary, num_outside: int) -> str:
    """Return the numbers of a summary with errors and units, one per line."""
    unit, lines = summary.unit, []
    if summary.core is not None:
        lines.append(f"core $\\sigma$ = {_with_error(summary.core.sigma, summary.core.sigma_error)} {unit}")
    lines.append(f"68 % = {_with_error(summary.quantile.value, summary.quantile.error)} {unit}")
    if summary.core is not None:
        lines.append(f"bias = {_with_error(summary.core.mean, summary.core.mean_error)} {unit}")
    lines.append(f"{summary.num_events} events, {num_outside} outside")
    if summary.num_invalid:
        lines.append(f"{summary.num_invalid} not finite")
    return "\n".join(lines)


def draw_profile(axes: Axes, residuals: Residuals) -> None:
    """Draw median and 68 % of one quantity along the truth."""
    found = profile(residuals)
    axes.set_xlabel(residuals.truth_label)
    axes.set_ylabel(_axis_label(residuals))
    if not len(found.median):
        return
    axes.stairs(found.high, found.edges, baseline=found.low, fill=True, color=DATA_COLOUR, alpha=0.25, label="68 %")
    axes.errorbar(
        found.truth, found.median, found.median_error, fmt="o", markersize=4, color=DATA_COLOUR, label="median"
    )
    if not residuals.is_distance:
        axes.axhline(0.0, color="0.4", linewidth=0.8, linestyle="--", zorder=0)
    low, high = float(found.low.min()), float(found.high.max())
    # Residuals that are all the same have no span.
    span = (high - low) or 1.0
    # Room above for the legend.
    axes.set_ylim(low - 0.1 * span if low < 0 else 0.0, high + 0.35 * span)
    axes.legend(loc="upper right", ncols=2, frameon=False, fontsize=9)


def _draw_core(axes: Axes, core: CoreFit, bin_width: float) -> None:
    """Draw the fitted Gaussian, solid within the window of the fit and dotted beyond."""
    # 95.45 % of a Gaussian lie within the window.
    area = core.num_core / 0.9545 * bin_width
    for reach, style in ((2.0 * CORE_WINDOW, ":"), (CORE_WINDOW, "-")):
        pull = np.linspace(-reach, reach, 200)
        density = np.exp(-0.5 * pull**2) / (np.sqrt(2.0 * np.pi) * core.sigma)
        axes.plot(core.mean + pull * core.sigma, area * density, style, color=FIT_COLOUR, linewidth=1.8)


def _shown_range(summary: ResolutionSummary) -> tuple[float, float]:
    width = SHOWN_WIDTH * summary.quantile.value
    if not width > 0:
        return -1.0, 1.0
    if summary.core is None:
        return 0.0, width
    centre = summary.core.mean if np.isfinite(summary.core.mean) else 0.0
    return centre - width, centre + width


def _axis_label(residuals: Residuals) -> str:
    return f"{residuals.label} ({residuals.unit})"


def _with_error(value: float, error: float) -> str:
    """Return value and error, rounded to two digits of the error."""
    if not error > 0:
        return f"{value:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} \N{PLUS-MINUS SIGN} {error:.{digits}f}".replace("-", "\N{MINUS SIGN}")
