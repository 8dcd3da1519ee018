"""Figures of many runs: their validation losses over the epochs, and what settings lead where."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.evaluation.drawing.log_axis import use_log_scale
from lib.evaluation.runs.run_table import RunSummary, differing_settings

CURVES: Final = 20
AXES: Final = 10

Curve = Sequence[tuple[int, float]]


def draw_curves(curves: Mapping[str, Curve], title: str) -> Figure:
    """Draw the validation loss of runs, best first, against the epoch.

    Args:
        curves: Epochs and losses by name of the run.
        title: Heading.
    """
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    axes = figure.subplots()
    for (name, curve), colour in zip(curves.items(), _colours(len(curves)), strict=True):
        epochs, losses = zip(*curve, strict=True) if curve else ((), ())
        axes.plot(epochs, losses, color=colour, linewidth=1.4, marker="o", markersize=2.5, label=name)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("validation loss")
    if all(loss > 0 for curve in curves.values() for _, loss in curve):
        use_log_scale(axes)
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def draw_parallel_coordinates(runs: Sequence[RunSummary], title: str) -> Figure:
    """Draw each run as a line over the settings that differ, ending at its best validation loss.

    Args:
        runs: Best first; runs without a finite loss are left out.
        title: Heading.
    """
    shown = [run for run in runs if math.isfinite(run.best_loss)]
    settings = differing_settings(shown)[:AXES]
    figure = Figure(figsize=(max(7.0, 1.9 * (len(settings) + 1)), 5.5), layout="constrained")
    axes = figure.subplots()
    columns = [_column([run.settings.get(key, "") for run in shown]) for key in settings]
    columns.append(_number_column([run.best_loss for run in shown]))
    heights = np.array([heights for heights, _ in columns])
    # The best run is drawn last, on top of the others.
    for index in reversed(range(len(shown))):
        colour = _colours(len(shown))[index]
        axes.plot(range(len(columns)), heights[:, index], color=colour, linewidth=2.2 if index == 0 else 1.0)
    _label_columns(axes, [*settings, "best validation loss"], [ticks for _, ticks in columns])
    axes.set_title(title)
    return figure


def _label_columns(axes: Axes, names: Sequence[str], ticks: Sequence[Mapping[str, float]]) -> None:
    for place, column in enumerate(ticks):
        axes.axvline(place, color="0.6", linewidth=0.8)
        for text, height in column.items():
            axes.annotate(
                text,
                (place, height),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=7,
                va="center",
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=15, ha="right")
    axes.set_yticks([])
    axes.set_ylim(-0.05, 1.05)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


def _column(texts: Sequence[str]) -> tuple[list[float], dict[str, float]]:
    """Return the height of each run on the axis of a setting, from 0 to 1, and the labels of the axis."""
    try:
        return _number_column([float(text) for text in texts])
    except ValueError:
        names = sorted(set(texts))
        places = {name: (index + 0.5) / len(names) for index, name in enumerate(names)}
        return [places[text] for text in texts], {name[:24]: place for name, place in places.items()}


def _number_column(values: Sequence[float]) -> tuple[list[float], dict[str, float]]:
    numbers = np.array(values, dtype=np.float64)
    # Learning rates and losses are compared by their ratios.
    scaled = np.log(numbers) if (numbers > 0).all() and numbers.max() > 10 * numbers.min() else numbers
    span = float(np.ptp(scaled))
    heights = (scaled - scaled.min()) / span if span else np.full(len(scaled), 0.5)
    distinct = np.unique(numbers)
    labelled = distinct if len(distinct) <= 8 else np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1], method="nearest")
    return heights.tolist(), {f"{value:.4g}": float(heights[numbers == value][0]) for value in labelled}


def _colours(count: int) -> np.ndarray:
    """Return one colour per run, best first, on a scale that any colour vision and grey printing keeps apart."""
    return mpl.colormaps["viridis"](np.linspace(0.0, 0.9, max(count, 1)))
