"""How good the predictions are: resolutions beside others, along the truth, calibration, and face by face."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from lib.evaluation.drawing.value_text import with_error
from lib.evaluation.statistics.calibration import COVERED, CalibrationSummary
from lib.evaluation.statistics.resolution import ResolutionSummary
from lib.evaluation.task_evaluation import COMPONENT_UNITS, Quantity, TaskEvaluation
from lib.geometry.sensors import FACE_NAMES
from lib.report.chart import Series, bar_chart, histogram, line_chart
from lib.report.markup import Content, Markup, element, joined, table
from lib.report.run_folder import RunFolder
from lib.simulation.bounds import NOMINAL_BOUNDS

NUM_BINS: Final = 60
CONVENTIONAL: Final = "conventional"
# Along which truth each quantity is shown: what its resolution depends on most.
_ALONG: Final = {"energy": "energy", "time": "energy", "distance": "w", "opening angle": "w"}
_BOUND_NOTE: Final = (
    "Bound: photon statistics of a shower of known shape, with containment for the energy, at 52.83 MeV in the "
    "built-in simulation; compare cores. Other events have other bounds."
)
# Metrics of each face that an autoencoder or an inpainter has, with heading and axis.
_FACE_METRICS: Final = (
    ("Photons restored, by face", "normalized error", "val/npho_mae_normalized"),
    ("Times restored, by face", "error (ns)", "val/time_mae_ns"),
)


def resolutions(run: RunFolder) -> Markup:
    """Return table and charts of the resolutions of a run, beside the conventional reconstruction and the bounds."""
    columns = {run.name: run.resolutions()}
    if run.conventional:
        columns[CONVENTIONAL] = run.conventional_resolutions()
    return joined(
        resolution_table(columns, NOMINAL_BOUNDS),
        element("p", _BOUND_NOTE, class_="note"),
        _charts([_residuals(quantity) for task in run.tasks.values() for quantity in task.quantities]),
        _charts([chart for task in run.tasks.values() for chart in _profiles(task, run.conventional.get(task.task))]),
    )


def resolution_table(
    columns: Mapping[str, Sequence[ResolutionSummary]], bounds: Mapping[str, float] | None = None
) -> Markup:
    """Return core, 68 % and bias of each quantity with errors, one block of columns per reconstruction.

    Args:
        columns: Resolutions by what they are of.
        bounds: Smallest core of a quantity, in its unit; a last column where given.
    """
    quantities = {(one.name, one.unit): None for summaries in columns.values() for one in summaries}
    found = {name: {one.name: one for one in summaries} for name, summaries in columns.items()}
    header = ["quantity"]
    for name in columns:
        prefix = f"{name}: " if len(columns) > 1 else ""
        header += [f"{prefix}68 %", f"{prefix}core sigma", f"{prefix}bias"]
    rows: list[list[Content]] = []
    for quantity, unit in quantities:
        cells: list[Content] = [f"{quantity} ({unit})"]
        for name in columns:
            cells += _cells(found[name].get(quantity))
        if bounds is not None:
            cells.append(f"{bounds[quantity]:g}" if quantity in bounds else "")
        rows.append(cells)
    if bounds is not None:
        header.append("bound")
    return table(header, rows, caption="Resolutions of the validation events, with statistical errors")


def calibration(run: RunFolder) -> Markup:
    """Return whether predicted errors are right, as a table and a chart per task; empty where none are predicted."""
    found = {task.task: task.calibration_summaries() for task in run.tasks.values() if task.calibrations}
    if not found:
        return Markup()
    rows: list[list[Content]] = [
        [
            f"{task}: {one.name}",
            one.num_events,
            with_error(one.ratio.value, one.ratio.error),
            with_error(100 * one.coverage, 100 * one.coverage_error),
            with_error(one.core.mean, one.core.mean_error),
        ]
        for task, summaries in found.items()
        for one in summaries
    ]
    header = [
        "component",
        "events",
        "observed over predicted",
        f"covered ({100 * COVERED:.2f} % is right)",
        "mean pull",
    ]
    return joined(
        element("p", "Where errors are right, the ratio is 1 and the points lie on the line of equal errors."),
        table(header, rows, caption="Predicted errors against the residuals"),
        _charts([_observed_errors(task, summaries) for task, summaries in found.items()]),
    )


def faces(run: RunFolder) -> Markup:
    """Return how much each face matters, or how well each is restored; empty where neither is known."""
    charts = [
        bar_chart(f"{quantity}: change without a face", f"68 % of the change ({unit})", bars)
        for quantity, by_face in run.face_weights.items()
        for unit in [next(iter(by_face.values()))[1]]
        for bars in [{face: (change.value, change.error) for face, (change, _) in by_face.items()}]
        if any(math.isfinite(value) and value > 0 for value, _ in bars.values())
    ]
    for title, y_label, metric in _FACE_METRICS:
        epochs = [float(record.step) for record in run.records]
        series = [Series(face, epochs, run.curve(f"{metric}_{face}")) for face in FACE_NAMES]
        shown = [one for one in series if any(math.isfinite(value) for value in one.y)]
        if shown:
            charts.append(line_chart(title, y_label, shown))
    return _charts(charts) if charts else Markup()


def _cells(summary: ResolutionSummary | None) -> list[Content]:
    if summary is None:
        return ["", "", ""]
    core = summary.core
    return [
        with_error(summary.quantile.value, summary.quantile.error),
        with_error(core.sigma, core.sigma_error) if core else "",
        with_error(core.mean, core.mean_error) if core else "",
    ]


def _charts(charts: Sequence[Markup]) -> Markup:
    return element("div", *(chart for chart in charts if chart), class_="charts")


def _residuals(quantity: Quantity) -> Markup:
    """Return the distribution of the residuals, out to five times the 68 %."""
    width = quantity.summary().quantile.value
    if not (math.isfinite(width) and width > 0):
        return Markup()
    edges = np.linspace(0.0 if quantity.is_distance else -5 * width, 5 * width, NUM_BINS + 1)
    counts = quantity.distribution.histogram(edges)
    return histogram(quantity.name, f"{quantity.label} ({quantity.unit})", counts.tolist(), edges.tolist())


def _profiles(task: TaskEvaluation, conventional: TaskEvaluation | None) -> list[Markup]:
    """Return the 68 % of some quantities along the truth that they depend on."""
    other = {quantity.name: quantity for quantity in conventional.quantities} if conventional else {}
    charts = []
    for quantity in task.quantities:
        along = _ALONG.get(quantity.name)
        sources = [("network", quantity), (CONVENTIONAL, other.get(quantity.name))]
        series = [_profile(label, found, along) for label, found in sources if found is not None]
        shown = [one for one in series if one is not None]
        if shown:
            (label,) = [profile.axis.label for profile in quantity.profiles if profile.axis.name == along]
            title = f"{quantity.name} along the {label.split(' (')[0]}"
            charts.append(line_chart(title, f"68 % ({quantity.unit})", shown, x_label=label))
    return charts


def _profile(label: str, quantity: Quantity, along: str | None) -> Series | None:
    for profile in quantity.profiles:
        if profile.axis.name == along and (bins := profile.bins()):
            return Series(
                label,
                [one.middle for one in bins],
                [one.quantile.value for one in bins],
                [one.quantile.error for one in bins],
            )
    return None


def _observed_errors(task: str, summaries: Sequence[CalibrationSummary]) -> Markup:
    series = [
        Series(
            one.name,
            [point.predicted for point in one.bins],
            [point.observed.value for point in one.bins],
            [point.observed.error for point in one.bins],
        )
        for one in summaries
        if one.bins
    ]
    if not series:
        return Markup()
    ends = sorted(x for one in series for x in one.x)
    equal = Series("equal errors", [ends[0], ends[-1]], [ends[0], ends[-1]])
    unit = COMPONENT_UNITS[task]
    title = f"{task}: observed against predicted error"
    return line_chart(title, f"observed ({unit})", [*series, equal], x_label=f"predicted ({unit})")
