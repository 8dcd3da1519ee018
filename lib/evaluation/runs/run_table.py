"""Runs of an experiment out of MLflow: what differs between them, and how well each did."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lib.errors import UserError, nearest
from lib.training.records.mlflow_store import MlflowStore

PAGE: Final = 1000

BEST_LOSS: Final = "val/loss_best"
LOSS: Final = "val/loss"
GAP: Final = "overfit_gap"

# Read from the last epoch, with the header of each column.
SHOWN_METRICS: Final = {
    BEST_LOSS: "best loss",
    LOSS: "last loss",
    GAP: "val - train",
    "grad_norm_max": "grad_norm_max",
    "train/events_per_second": "events/s",
    "skipped_steps": "skips",
}


class RunQueryError(UserError):
    """The runs that were asked for are not there."""


@dataclass(frozen=True)
class RunSummary:
    """One run.

    Attributes:
        run_id: Its id in MLflow.
        name: Its name.
        state: RUNNING, FINISHED, FAILED or KILLED.
        settings: Its parameters, ``section.key`` to text.
        metrics: Last value of each metric.
    """

    run_id: str
    name: str
    state: str
    settings: dict[str, str]
    metrics: dict[str, float]

    @property
    def best_loss(self) -> float:
        """Lowest validation loss; infinite before the first epoch."""
        return self.metrics.get(BEST_LOSS, self.metrics.get(LOSS, math.inf))


def find_runs(uri: str, experiment: str, prefix: str = "") -> list[RunSummary]:
    """Return the runs of an experiment, best validation loss first.

    Args:
        uri: Tracking store.
        experiment: Name of the experiment.
        prefix: Only runs whose name begins so.

    Raises:
        RunQueryError: If the store cannot be read, or there is no such experiment or run.
    """
    store = MlflowStore(uri, experiment)
    try:
        client = store.client
        known = {entry.name: entry.experiment_id for entry in client.search_experiments()}
        if experiment not in known:
            raise RunQueryError(f"{uri}: no experiment {experiment!r}; nearest: {nearest(experiment, known)}.")
        runs = _all_runs(client, known[experiment], prefix)
    except store.failures() as error:
        raise RunQueryError(f"{uri}: cannot be read ({error}). Set MLFLOW_TRACKING_URI.") from error
    if not runs:
        raise RunQueryError(f"{uri}: experiment {experiment!r} has no run whose name begins with {prefix!r}.")
    return sorted(runs, key=lambda run: run.best_loss)


def _all_runs(client: Any, experiment_id: str, prefix: str) -> list[RunSummary]:
    summaries: list[RunSummary] = []
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=PAGE, page_token=token)
        summaries += [_summary(run) for run in page if (run.info.run_name or "").startswith(prefix)]
        token = page.token
        if not token:
            return summaries


def _summary(run: Any) -> RunSummary:
    metrics = dict(run.data.metrics)
    if LOSS in metrics and "train/loss" in metrics:
        metrics[GAP] = metrics[LOSS] - metrics["train/loss"]
    return RunSummary(run.info.run_id, run.info.run_name or "", run.info.status, dict(run.data.params), metrics)


def differing_settings(runs: Sequence[RunSummary]) -> list[str]:
    """Return the settings in which runs differ, without the names of runs and folders, which always do."""
    always = {"mlflow.run_name", "checkpoint.save_dir", "checkpoint.resume_from"}
    keys = {key for run in runs for key in run.settings} - always
    return sorted(key for key in keys if len({run.settings.get(key) for run in runs}) > 1)


def resolution_metrics(runs: Sequence[RunSummary]) -> list[str]:
    """Return the resolutions that any of the runs has measured."""
    found = {name for run in runs for name in run.metrics}
    return sorted(name for name in found if "res_68pct" in name or "dist_68pct" in name or "resolution" in name)


def table_rows(runs: Sequence[RunSummary]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of runs, as text."""
    settings, resolutions = differing_settings(runs), resolution_metrics(runs)
    metrics = [name for name in SHOWN_METRICS if any(name in run.metrics for run in runs)] + resolutions
    header = ["run", "state", *(SHOWN_METRICS.get(name, name) for name in metrics), *settings]
    rows = [
        [
            run.name,
            run.state.lower(),
            *(_number(run.metrics.get(name)) for name in metrics),
            *(run.settings.get(key, "") for key in settings),
        ]
        for run in runs
    ]
    return header, rows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in columns of equal width."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows))
    return "".join(f"{line.rstrip()}\n" for line in lines)


def to_csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def to_json(runs: Sequence[RunSummary]) -> str:
    """Return everything known of the runs, one JSON object per line, best first."""
    return "".join(json.dumps(vars(run), sort_keys=True) + "\n" for run in runs)
