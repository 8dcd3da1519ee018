import csv
import json
import math

import pytest

from lib.evaluation.runs.run_figures import CURVES, draw_curves, draw_parallel_coordinates
from lib.evaluation.runs.run_files import write_summary
from lib.evaluation.runs.run_table import (
    RunQueryError,
    RunSummary,
    differing_settings,
    find_runs,
    format_table,
    table_rows,
    to_csv,
    to_json,
)
from lib.training.records.mlflow_store import MlflowStore

# MLflow and what it brings warn of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")


def summary(name: str, lr: str, best: float | None, **metrics: float) -> RunSummary:
    settings = {"training.lr": lr, "training.epochs": "5", "mlflow.run_name": name}
    return RunSummary(name, name, "FINISHED", settings, metrics | ({} if best is None else {"val/loss_best": best}))


RUNS = [summary("a", "0.001", 0.2, uvw_dist_68pct=0.7), summary("b", "0.0001", 0.5), summary("c", "0.01", None)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three runs of one experiment, of which one never finished an epoch."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlruns.db"
    store = MlflowStore(uri, "sweep")
    for index, (lr, losses) in enumerate([("0.001", [3.0, 1.0, 2.0]), ("0.01", [0.5, 0.25]), ("0.1", [])]):
        run = store.open_run(f"s_{index}", f"key{index}", {"training.lr": lr, "mlflow.run_name": f"s_{index}"}, {})
        best = math.inf
        for step, loss in enumerate(losses, start=1):
            best = min(best, loss)
            metrics = {"val/loss": loss, "train/loss": loss - 0.125, "val/loss_best": best, "grad_norm_max": 2.0}
            store.log_metrics(run, metrics, step, step)
        store.end_run(run, "FINISHED" if losses else "FAILED")
    return uri


def test_runs_come_best_first_with_what_differs(store):
    runs = find_runs(store, "sweep")
    assert [run.name for run in runs] == ["s_1", "s_0", "s_2"]
    assert [run.best_loss for run in runs] == [0.25, 1.0, math.inf]
    assert runs[1].metrics["val/loss"] == 2.0
    assert runs[1].metrics["overfit_gap"] == 0.125
    assert differing_settings(runs) == ["training.lr"]


def test_a_prefix_selects_runs(store):
    assert [run.name for run in find_runs(store, "sweep", "s_2")] == ["s_2"]


@pytest.mark.parametrize(
    ("experiment", "prefix", "message"), [("swep", "", "nearest: sweep"), ("sweep", "x", "no run")]
)
def test_runs_that_are_not_there_are_an_error(store, experiment, prefix, message):
    with pytest.raises(RunQueryError, match=message):
        find_runs(store, experiment, prefix)


def test_a_store_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "broken.db").write_text("this is no database at all, but text of some length")
    with pytest.raises(RunQueryError, match="cannot be read"):
        find_runs(f"sqlite:///{tmp_path}/broken.db", "sweep")


def test_the_table_shows_results_and_differing_settings():
    header, rows = table_rows(RUNS)
    assert header == ["run", "state", "best loss", "uvw_dist_68pct", "training.lr"]
    assert rows[0] == ["a", "finished", "0.2", "0.7", "0.001"]
    assert rows[2] == ["c", "finished", "", "", "0.01"]
    lines = format_table(header, rows).splitlines()
    assert [line.index("0.0") for line in lines[1:]] == [lines[0].index("training.lr")] * 3


def test_csv_and_json_hold_the_same_runs():
    table = list(csv.DictReader(to_csv(*table_rows(RUNS)).splitlines()))
    assert [row["training.lr"] for row in table] == ["0.001", "0.0001", "0.01"]
    assert [json.loads(line)["name"] for line in to_json(RUNS).splitlines()] == ["a", "b", "c"]


def test_the_summary_is_written_as_three_files(store, tmp_path):
    paths = write_summary(find_runs(store, "sweep"), tmp_path / "out.v1", store, "sweep")
    assert [path.name for path in paths] == ["out.v1.csv", "out.v1.json", "out.v1.pdf"]
    assert paths[2].read_bytes().count(b"/Type /Page ") == 2


def test_curves_are_drawn_for_each_run():
    figure = draw_curves({"a": [(1, 0.5), (2, 0.25)], "b": []}, "title")
    lines = figure.axes[0].get_lines()
    assert [list(line.get_ydata()) for line in lines] == [[0.5, 0.25], []]
    assert figure.axes[0].get_yscale() == "log"
    assert CURVES >= 10


def test_parallel_coordinates_order_the_runs_by_their_loss():
    figure = draw_parallel_coordinates(RUNS, "title")
    # The lines of the runs come before those of the axes.
    heights = [list(line.get_ydata()) for line in figure.axes[0].get_lines()[:2]]
    # Run b has the lower rate and the higher loss; c has no loss and is left out. The best is drawn last.
    assert heights == [[0.0, 1.0], [1.0, 0.0]]
