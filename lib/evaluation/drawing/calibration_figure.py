"""Figures of predicted errors: pulls, and observed against predicted errors."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from lib.evaluation.drawing.value_text import with_error
from lib.evaluation.statistics.calibration import COVERED, CalibrationSummary

_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73")
_MARKERS: Final = ("o", "s", "v")


def draw_calibration(title: str, components: Sequence[CalibrationSummary], unit: str) -> Figure:
    """Draw observed against predicted errors of each component, with ratio, coverage and pulls beside it.

    Args:
        title: Above the figure.
        components: What to draw.
        unit: Of the errors.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    figure.suptitle(f"{title}: predicted errors", fontsize=14)
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 0.9))
    _draw_bins(left, components, unit)
    right.set_axis_off()
    right.text(0.0, 0.97, "\n\n".join(map(describe_calibration, components)), va="top", fontsize=11, linespacing=1.5)
    return figure


def describe_calibration(found: CalibrationSummary) -> str:
    """Return ratio, coverage and pulls of a component as text."""
    coverage = with_error(100 * found.coverage, 100 * found.coverage_error)
    return "\n".join(
        [
            f"{found.name} ({found.num_events} events)",
            f"  observed / predicted error = {with_error(found.ratio.value, found.ratio.error)}",
            f"  within the predicted error: {coverage} % (nominal {100 * COVERED:.2f} %)",
            f"  pulls: core $\\sigma$ = {with_error(found.core.sigma, found.core.sigma_error)}, "
            f"mean = {with_error(found.core.mean, found.core.mean_error)}, rms = {found.rms:.3f}",
        ]
    )


def _draw_bins(axes: Axes, components: Sequence[CalibrationSummary], unit: str) -> None:
    points = [point for found in components for point in found.bins]
    for found, colour, marker in zip(components, _COLOURS, _MARKERS, strict=False):
        axes.errorbar(
            [one.predicted for one in found.bins], [one.observed.value for one in found.bins],
            [one.observed.error for one in found.bins], fmt=marker, markersize=5, color=colour, label=found.name,
        )  # fmt: skip
    axes.set_xlabel(f"predicted error ({unit})")
    axes.set_ylabel(f"68.27 % of |predicted \N{MINUS SIGN} true| ({unit})")
    if not points:
        return
    values = np.array([[one.predicted, one.observed.value] for one in points])
    low, high = 0.8 * float(values.min()), 1.25 * float(values.max())
    axes.plot([low, high], [low, high], color="0.4", linewidth=0.9, linestyle="--", zorder=0, label="calibrated")
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    for direction in (axes.xaxis, axes.yaxis):
        direction.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        direction.set_major_formatter("{x:g}")
        direction.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, loc="upper left")
