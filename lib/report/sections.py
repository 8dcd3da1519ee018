"""The parts of a run's page, from top to bottom."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from lib.report.chart import Series, line_chart
from lib.report.findings import Finding
from lib.report.markup import Content, Markup, element, joined, table
from lib.report.run_folder import Incident, RunFolder, run_labels

# Metrics of each chart, with heading and axis; factors bring them to the field's units.
_CHARTS: Final[tuple[tuple[str, str, dict[str, str], float], ...]] = (
    ("Loss", "loss", {"train/loss": "training", "val/loss": "validation"}, 1.0),
    (
        "Gradient norm before clipping",
        "norm",
        {"grad_norm_max": "grad_norm_max", "grad_norm_p99": "99 %", "grad_norm_p50": "median"},
        1.0,
    ),
    ("Learning rate", "learning rate", {"lr": "training.lr"}, 1.0),
    ("Throughput", "events/s", {"train/events_per_second": "events/s"}, 1.0),
    ("Waiting for data", "share of the time (%)", {"train/data_wait_share": "waiting"}, 100.0),
    ("Skipped steps", "steps", {"skipped_steps": "all skipped", "nonfinite_steps": "not finite"}, 1.0),
    ("Cores in use", "cores", {"system/cpu_cores": "cores"}, 1.0),
    ("Effective rank of the embedding", "directions", {"val/effective_rank": "effective rank"}, 1.0),
    ("Error over that of a constant", "ratio", {"val/loss_over_constant": "worst target"}, 1.0),
    ("Energy, 68 % of the events", "MeV", {"energy_res_68pct": "energy"}, 1e3),
    ("First interaction, 68 % of the events", "mm", {"uvw_dist_68pct": "distance"}, 10.0),
    ("Time, 68 % of the events", "ps", {"timing_res_68pct": "time"}, 1e12),
    ("Opening angle, 68 % of the events", "deg", {"val_resolution_deg": "opening angle"}, 1.0),
)
SHOWN_INCIDENTS: Final = 50
# Metric, what it is, factor to the unit, digits, unit.
_SPEED: Final = (
    ("train/events_per_second", "training", 1.0, 0, "events/s"),
    ("train/data_wait_share", "waiting for data", 100.0, 1, "% of the time"),
    ("system/cpu_cores", "cores in use by the training's process", 1.0, 1, ""),
    ("system/host_memory_gib", "largest host memory", 1.0, 1, "GiB"),
    ("system/gpu_memory_gib", "largest GPU memory", 1.0, 1, "GiB"),
)


def findings_list(findings: Sequence[Finding]) -> Markup:
    """Return what to worry about as a list."""
    if not findings:
        return element("p", "Nothing found to worry about.")
    words = {"serious": "Serious: ", "watch": "Watch: "}
    items = [element("li", element("strong", words[one.weight]), one.text, class_=one.weight) for one in findings]
    return element("ul", *items, class_="findings")


def curves(runs: Sequence[RunFolder]) -> Markup:
    """Return the charts of the metrics along the epochs; of several runs the first metric of each chart only.

    Args:
        runs: One or more; each chart shows those that have its metric.
    """
    charts, names = [], run_labels(runs)
    for title, y_label, metrics, factor in _CHARTS:
        shown = metrics if len(runs) == 1 else _one_metric(metrics)
        series = [
            Series(label if len(runs) == 1 else name, [float(record.step) for record in run.records], values)
            for name, run in zip(names, runs, strict=True)
            for metric, label in shown.items()
            for values in ([factor * value for value in run.curve(metric)],)
            if any(math.isfinite(value) for value in values)
        ]
        if series and not (title == "Skipped steps" and not any(any(one.y) for one in series)):
            what = f"{title} ({next(iter(shown.values()))})" if len(metrics) > 1 and len(runs) > 1 else title
            charts.append(line_chart(what, y_label, series))
    return element("div", *charts, class_="charts")


def _one_metric(metrics: Mapping[str, str]) -> dict[str, str]:
    name = "val/loss" if "val/loss" in metrics else next(iter(metrics))
    return {name: metrics[name]}


def speed_table(run: RunFolder) -> Markup:
    """Return throughput, waiting, cores and memory of the last epoch; empty where nothing was measured."""
    rows: list[list[Content]] = [
        [label, f"{factor * run.last[metric]:,.{digits}f} {unit}".rstrip()]
        for metric, label, factor, digits, unit in _SPEED
        if math.isfinite(run.last.get(metric, math.nan))
    ]
    return table(["what", "last epoch"], rows, caption="Speed and what it takes of the machine") if rows else Markup()


def incidents(run: RunFolder) -> Markup:
    """Return skipped steps and rollbacks as tables; empty where there were none."""
    parts = []
    for title, found in (("Skipped steps", run.skips), ("Returns to an older state", run.rollbacks)):
        if found:
            more = f"; the first {SHOWN_INCIDENTS} of {len(found)}" if len(found) > SHOWN_INCIDENTS else ""
            parts.append(
                table(
                    ["step", "reason", "detail"], [_row(one) for one in found[:SHOWN_INCIDENTS]], caption=title + more
                )
            )
    return joined(*parts)


def _row(incident: Incident) -> list[Content]:
    return [incident.step, incident.reason, incident.detail]


def ledger_table(run: RunFolder) -> Markup:
    """Return where the events of each file went."""
    rows: list[list[Content]] = [
        [row.path, split, row.read, row.used, row.cut, row.quarantined] for split, row in run.ledger
    ]
    return table(["file", "split", "read", "used", "cut", "quarantined"], rows, caption="Events of each file")


def settings(run: RunFolder, defaults: Mapping[str, str]) -> Markup:
    """Return the settings that differ from their defaults, and all of them folded away."""
    chosen = run.identity.parameters
    differing: list[list[Content]] = [
        [key, value, defaults.get(key, "required")]
        for key, value in sorted(chosen.items())
        if defaults.get(key) != value
    ]
    everything: list[list[Content]] = [[key, value] for key, value in sorted(chosen.items())]
    return joined(
        table(["setting", "here", "default"], differing, caption="Settings that differ from their defaults"),
        element(
            "details", element("summary", "All settings"), table(["setting", "value"], everything, caption="Settings")
        ),
    )


def tags(run: RunFolder) -> Markup:
    """Return what else is known of the run: code, data, machine, versions."""
    rows: list[list[Content]] = [[name, value] for name, value in sorted(run.identity.tags.items())]
    return table(["what", "value"], rows, caption="Code, machine and versions")
