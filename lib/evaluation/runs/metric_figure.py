"""Metrics of runs in MLflow against the epoch, as a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.errors import ConfigError, nearest
from lib.training.records.mlflow_store import MlflowStore

BEST_METRIC = "metrics.`val/loss_best`"
# Values that span more than this are shown on a logarithmic axis.
LOGARITHMIC_SPAN = 20.0
# Neighbouring runs have different strokes, so that a figure printed in grey can be read.
STROKES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class RunHistory:
    """Metrics of one run.

    Attributes:
        name: Name of the run.
        points: Epochs and values of each metric that it has, in order.
    """

    name: str
    points: Mapping[str, Sequence[tuple[int, float]]]


def read_histories(
    uri: str, experiment: str, metrics: Sequence[str], *, search: str, num_best: int
) -> list[RunHistory]:
    """Return the metrics of some runs, those of the lowest validation loss first.

    Args:
        uri: Tracking store.
        experiment: Name of the experiment.
        metrics: Names of the metrics.
        search: Search of MLflow that the runs must meet; empty for all.
        num_best: Largest number of runs.

    Raises:
        ConfigError: If the store cannot be used, or has no such experiment, run or metric.
    """
    store = MlflowStore(uri, experiment)
    try:
        found = store.client.get_experiment_by_name(experiment)
        if found is None:
            known = [one.name for one in store.client.search_experiments()]
            raise ConfigError(f"{uri}: no experiment {experiment!r}; nearest: {nearest(experiment, known)}.")
        runs = store.client.search_runs(
            [found.experiment_id], search, max_results=num_best, order_by=[f"{BEST_METRIC} ASC"]
        )
        if not runs:
            raise ConfigError(f"{uri}: experiment {experiment!r} has no run that meets {search!r}.")
        known = sorted({name for run in runs for name in run.data.metrics})
        for metric in metrics:
            if metric not in known:
                raise ConfigError(f"No run has the metric {metric!r}; nearest: {nearest(metric, known)}.")
        return [
            RunHistory(
                run.info.run_name,
                {
                    metric: sorted(
                        (point.step, point.value) for point in store.client.get_metric_history(run.info.run_id, metric)
                    )
                    for metric in metrics
                    if metric in run.data.metrics
                },
            )
            for run in runs
        ]
    except store.failures() as error:
        raise ConfigError(f"{uri}: cannot be used ({error}). Set MLFLOW_TRACKING_URI.") from error


def draw_metrics(runs: Sequence[RunHistory], metrics: Sequence[str]) -> Figure:
    """Draw one panel per metric with a curve per run.

    Args:
        runs: In the order of the legend.
        metrics: Names of the metrics.
    """
    figure = Figure(figsize=(8.0, 1.2 + 2.8 * len(metrics)), layout="constrained")
    panels = figure.subplots(len(metrics), 1, squeeze=False, sharex=True)[:, 0]
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.9, len(runs)))
    for axes, metric in zip(panels, metrics, strict=True):
        for number, run in enumerate(runs):
            if metric in run.points:
                steps, values = zip(*run.points[metric], strict=True)
                stroke = STROKES[number % len(STROKES)]
                axes.plot(steps, values, stroke, color=colours[number], marker="o", markersize=3, label=run.name)
        _finish(axes, metric, [value for run in runs for _, value in run.points.get(metric, ())])
    panels[-1].set_xlabel("epoch")
    panels[0].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _finish(axes: Axes, metric: str, values: Sequence[float]) -> None:
    axes.set_ylabel(metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    if min(values) > 0 and max(values) > LOGARITHMIC_SPAN * min(values):
        axes.set_yscale("log")
