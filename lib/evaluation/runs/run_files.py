"""The summary of many runs as files: CSV, JSON, and a PDF with curves and parallel coordinates."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages

from lib.atomic import atomic_path
from lib.evaluation.runs.run_figures import CURVES, Curve, draw_curves, draw_parallel_coordinates
from lib.evaluation.runs.run_table import LOSS, RunSummary, table_rows, to_csv, to_json
from lib.training.records.mlflow_store import MlflowStore


def write_summary(runs: Sequence[RunSummary], name: Path, uri: str, experiment: str) -> list[Path]:
    """Write ``name.csv``, ``name.json`` and ``name.pdf`` and return their paths.

    Args:
        runs: Best first.
        name: Path without suffix.
        uri: Tracking store, which is asked for the curves of the best runs.
        experiment: Name of the experiment, for headings.
    """
    texts = {".csv": to_csv(*table_rows(runs)), ".json": to_json(runs)}
    paths = []
    for suffix, text in texts.items():
        paths.append(name.with_name(name.name + suffix))
        with atomic_path(paths[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    curves = {run.name: _curve(uri, experiment, run) for run in runs[:CURVES]}
    shown = f"best {CURVES} of {len(runs)}" if len(runs) > CURVES else f"{len(runs)}"
    paths.append(name.with_name(f"{name.name}.pdf"))
    with atomic_path(paths[-1]) as temporary, PdfPages(temporary, metadata={"CreationDate": None}) as pages:
        pages.savefig(draw_curves(curves, f"{experiment}: {shown} runs"))
        pages.savefig(draw_parallel_coordinates(runs, f"{experiment}: {len(runs)} runs"))
    return paths


def _curve(uri: str, experiment: str, run: RunSummary) -> Curve:
    history = MlflowStore(uri, experiment).client.get_metric_history(run.run_id, LOSS)
    return sorted((point.step, point.value) for point in history)
