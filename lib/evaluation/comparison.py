"""Several reconstructions of the same events side by side."""

from collections.abc import Mapping, Sequence

from lib.evaluation.statistics.residuals import task_residuals
from lib.evaluation.statistics.resolution import ResolutionSummary, summarize
from lib.geometry.sensors import FloatArray

Quantities = Mapping[str, FloatArray]


def summarize_tasks(predicted: Quantities, true: Quantities) -> list[ResolutionSummary]:
    """Return the resolutions of every task that was predicted.

    Args:
        predicted: Predictions by task name, shape (N, width) each, in the units of ``task_residuals``.
        true: Truth by task name.
    """
    return [
        summarize(residuals)
        for task, values in predicted.items()
        for residuals in task_residuals(task, values, true[task])
    ]


def format_comparison(
    columns: Mapping[str, Sequence[ResolutionSummary]], bounds: Mapping[str, float] | None = None
) -> str:
    """Return tables of the core and of the 68 % of each quantity, one column per reconstruction, with errors.

    Args:
        columns: Resolutions by name of the reconstruction; a quantity that one of them lacks stays empty there.
        bounds: Least possible width of the core, by quantity, as a column of its own.
    """
    names = list(columns)
    by_name = {name: {summary.name: summary for summary in summaries} for name, summaries in columns.items()}
    quantities = {(summary.name, summary.unit): None for summaries in columns.values() for summary in summaries}
    heads = "".join(f"{name:>24s}" for name in names)
    lines = [f"{'core sigma':22s}{heads}" + (f"{'bound':>12s}" if bounds else "")]
    for quantity, unit in quantities:
        found = [by_name[name].get(quantity) for name in names]
        if any(one is not None and one.core is not None for one in found):
            cells = "".join(f"{_core_cell(one):>24s}" for one in found)
            least = (f"{bounds[quantity]:12.3g}" if quantity in bounds else " " * 12) if bounds else ""
            lines.append(f"{f'{quantity} ({unit})':22s}{cells}{least}")
    lines += ["", f"{'68 % of |residual|':22s}{heads}"]
    for quantity, unit in quantities:
        cells = "".join(f"{_cell(by_name[name].get(quantity)):>24s}" for name in names)
        lines.append(f"{f'{quantity} ({unit})':22s}{cells}")
    return "\n".join(lines) + "\n"


def format_summaries(summaries: Sequence[ResolutionSummary]) -> str:
    """Return a table of core width, 68 % and bias of each quantity, with errors."""
    lines = [f"{'quantity':20s}{'core sigma':>20s}{'68 %':>20s}{'bias':>20s}{'events':>10s}"]
    for summary in summaries:
        core = summary.core
        sigma = _with_error(core.sigma, core.sigma_error) if core else ""
        bias = _with_error(core.mean, core.mean_error) if core else ""
        name = f"{summary.name} ({summary.unit})"
        lines.append(f"{name:20s}{sigma:>20s}{_cell(summary):>20s}{bias:>20s}{summary.num_events:>10d}")
    return "\n".join(lines) + "\n"


def _core_cell(summary: ResolutionSummary | None) -> str:
    return "" if summary is None or summary.core is None else _with_error(summary.core.sigma, summary.core.sigma_error)


def _cell(summary: ResolutionSummary | None) -> str:
    return "" if summary is None else _with_error(summary.quantile.value, summary.quantile.error)


def _with_error(value: float, error: float) -> str:
    return f"{value:.4g} +- {error:.2g}"
