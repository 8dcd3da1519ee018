"""Validation metrics along the epochs, of runs that differ in one thing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from matplotlib.figure import Figure

from lib.errors import DataError
from lib.evaluation.drawing.log_axis import use_log_scale
from lib.evaluation.drawing.value_text import with_error
from lib.geometry.sensors import FloatArray
from lib.training.records.journal import Journal

# Metric: what it is on the axis, and factor to its unit there.
_SHOWN: Final = {
    "val/loss": ("validation loss", 1.0),
    "energy_res_68pct": ("energy, 68 % (MeV)", 1e3),
    "uvw_dist_68pct": ("distance, 68 % (mm)", 10.0),
    "timing_res_68pct": ("time, 68 % (ps)", 1e12),
    "val_resolution_deg": ("opening angle, 68 % (deg)", 1.0),
}
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

Curves: TypeAlias = dict[str, FloatArray]


def read_curves(folder: Path) -> Curves:
    """Return the known validation metrics of a run by name, shape (epochs,) each, in the units of the axes.

    Raises:
        DataError: If the folder holds no journal with an epoch.
    """
    records = Journal(folder).read()
    if not records:
        raise DataError(f"{folder}: holds no metrics of a run; expected metrics.jsonl with at least one epoch.")
    known = [name for name in _SHOWN if name in records[-1].metrics]
    return {
        name: _SHOWN[name][1] * np.array([record.metrics.get(name, np.nan) for record in records]) for name in known
    }


def draw_curves(groups: Mapping[str, Sequence[Curves]]) -> Figure:
    """Draw one panel per metric: each run thin, the mean of its group thick."""
    names = list(next(iter(groups.values()))[0])
    figure = Figure(figsize=(0.6 + 4.2 * min(len(names), 3), 0.4 + 3.5 * -(-len(names) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(names) // 3), min(len(names), 3), squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        for (label, runs), colour in zip(groups.items(), _COLOURS, strict=False):
            length = min(len(run[name]) for run in runs)
            values = np.array([run[name][:length] for run in runs])
            epochs = np.arange(1, length + 1)
            for run in values:
                axes.plot(epochs, run, color=colour, linewidth=0.7, alpha=0.6)
            axes.plot(epochs, values.mean(axis=0), color=colour, linewidth=2.0, label=f"{label} (mean of {len(runs)})")
        axes.set_xlabel("epoch")
        axes.set_ylabel(_SHOWN[name][0])
        if (values > 0).all():
            use_log_scale(axes)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    panels[0].legend(frameon=False, fontsize=9)
    return figure


def format_gains(groups: Mapping[str, Sequence[Curves]], before: str, after: str) -> str:
    """Return a table of the last epoch: mean of each group with its error, and the relative change with its error.

    Args:
        groups: Runs by group.
        before: Group that the other is compared with.
        after: The other group.
    """
    lines = [f"{'last epoch':28s}{before:>22s}{after:>22s}{'change (%)':>20s}"]
    for name in next(iter(groups.values()))[0]:
        means, errors = np.array([_mean_and_error([run[name][-1] for run in groups[one]]) for one in (before, after)]).T
        change = 100.0 * (means[1] / means[0] - 1.0)
        error = 100.0 * abs(means[1] / means[0]) * float(np.hypot(*(errors / means)))
        cells = [with_error(*pair) for pair in zip(means.tolist(), errors.tolist(), strict=True)]
        lines.append(f"{_SHOWN[name][0]:28s}{cells[0]:>22s}{cells[1]:>22s}{with_error(float(change), error):>20s}")
    return "\n".join(lines) + "\n"


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean over seeds and its error, 0 for a single one."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(np.mean(values)), spread / len(values) ** 0.5
