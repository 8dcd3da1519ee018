"""Figures that lay the residuals of several runs over each other."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.evaluation.drawing.value_text import with_error
from lib.evaluation.evaluation import RegressionEvaluation
from lib.evaluation.task_evaluation import Quantity

_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_NUM_BINS: Final = 80
_SHOWN_WIDTH: Final = 4.0
_PER_PAGE: Final = 4


def draw_comparison(runs: Mapping[str, RegressionEvaluation]) -> list[Figure]:
    """Draw one panel per quantity with a normalized histogram of each run, a few panels to the page."""
    quantities: dict[tuple[str, str], dict[str, Quantity]] = {}
    for name, evaluation in runs.items():
        for task in evaluation.tasks.values():
            for quantity in task.quantities:
                quantities.setdefault((task.task, quantity.name), {})[name] = quantity
    panels = list(quantities.values())
    return [_draw_page(panels[start : start + _PER_PAGE]) for start in range(0, len(panels), _PER_PAGE)]


def _draw_page(panels: list[dict[str, Quantity]]) -> Figure:
    figure = Figure(figsize=(11, 0.3 + 3.6 * -(-len(panels) // 2)), layout="constrained")
    all_axes = figure.subplots(-(-len(panels) // 2), 2, squeeze=False).ravel()
    for axes, by_run in zip(all_axes, panels, strict=False):
        _draw_panel(axes, by_run)
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    return figure


def _draw_panel(axes: Axes, by_run: Mapping[str, Quantity]) -> None:
    first = next(iter(by_run.values()))
    summaries = {name: quantity.summary() for name, quantity in by_run.items()}
    reach = _SHOWN_WIDTH * max(float(np.nan_to_num(one.quantile.value)) for one in summaries.values()) or 1.0
    edges = np.linspace(0.0 if first.is_distance else -reach, reach, _NUM_BINS + 1)
    for number, (name, quantity) in enumerate(by_run.items()):
        counts = quantity.distribution.histogram(edges)
        width = with_error(summaries[name].quantile.value, summaries[name].quantile.error)
        share = 100.0 * counts / max(quantity.distribution.num_values, 1)
        label = f"{name}: 68 % = {width} {quantity.unit}"
        axes.stairs(share, edges, color=_COLOURS[number % len(_COLOURS)], linewidth=1.3, label=label)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.0, 1.35 * axes.get_ylim()[1])
    axes.set_xlabel(f"{first.label} ({first.unit})")
    axes.set_ylabel(f"% of events / {edges[1] - edges[0]:.3g} {first.unit}")
    axes.legend(frameon=False, fontsize=8.5, loc="upper right")
