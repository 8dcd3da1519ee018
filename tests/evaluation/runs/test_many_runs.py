"""The summary of a sweep of five hundred runs, read out of a real store."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lib.evaluation.runs.run_figures import CURVES
from lib.evaluation.runs.run_files import write_summary
from lib.evaluation.runs.run_table import LOSS, find_runs, table_rows
from lib.training.records.mlflow_store import MlflowStore

# MLflow and what it brings warn of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")

RUNS, FEW = 500, 30
EPOCHS = 20
SETTINGS = 80
METRICS = 60


def log_runs(path: Path, experiment: str, runs: int) -> str:
    """Log runs as large as trainings make them, the last one the best, and return the address of the store."""
    uri = f"sqlite:///{path}"
    store = MlflowStore(uri, experiment)
    settings = {f"model.setting_{index}": "1" for index in range(SETTINGS)} | {"training.lr": "0"}
    first = store.open_run("scan_000", experiment, settings, {"sweep": "scan"})
    for epoch in range(1, EPOCHS + 1):
        names = (LOSS, "train/loss", *(f"val/metric_{index}" for index in range(METRICS - 2)))
        store.log_metrics(first, dict.fromkeys(names, 1.0 / epoch), epoch, epoch)
    store.end_run(first, "FINISHED")
    with closing(sqlite3.connect(path)) as database, database:
        for number in range(1, runs):
            copy_run(database, first, f"{experiment}_{number:03d}", number)
    return uri


def copy_run(database: sqlite3.Connection, first: str, key: str, number: int) -> None:
    """Log a run once more under another key; MLflow itself would take minutes for hundreds."""
    for table in ("runs", "params", "tags", "metrics", "latest_metrics"):
        columns = ", ".join(row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[1] != "run_uuid")
        database.execute(
            f"INSERT INTO {table} (run_uuid, {columns}) SELECT ?, {columns} FROM {table} WHERE run_uuid = ?",
            (key, first),
        )
    name = f"scan_{number:03d}"
    database.execute("UPDATE runs SET name = ? WHERE run_uuid = ?", (name, key))
    database.execute("UPDATE tags SET value = ? WHERE run_uuid = ? AND key = 'mlflow.runName'", (name, key))
    database.execute("UPDATE params SET value = ? WHERE run_uuid = ? AND key = 'training.lr'", (str(number), key))
    database.execute("UPDATE latest_metrics SET value = value / ? WHERE run_uuid = ?", (number + 1, key))


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with one experiment of 30 runs and one of 500."""
    path = tmp_path_factory.mktemp("store") / "mlruns.db"
    log_runs(path, "few", FEW)
    return log_runs(path, "many", RUNS)


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """Yield a list that grows by each statement that any database is asked."""
    from sqlalchemy import Engine, event

    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.slow
def test_five_hundred_runs_cost_no_more_queries_than_thirty(uri: str, tmp_path: Path) -> None:
    counts = {}
    for experiment in ("few", "many"):
        with counted_queries() as statements:
            runs = find_runs(uri, experiment)
            assert len(runs) == (FEW if experiment == "few" else RUNS)
            write_summary(runs, tmp_path / experiment, uri, experiment)
        counts[experiment] = len(statements)
        assert statements
    # The rows of a page are fetched together, and curves only of the best runs.
    assert counts["many"] <= counts["few"] + 5


@pytest.mark.slow
def test_five_hundred_runs_are_told_whole_and_best_first(uri: str, tmp_path: Path) -> None:
    runs = find_runs(uri, "many", "scan_")
    assert [run.name for run in runs] == [f"scan_{number:03d}" for number in reversed(range(RUNS))]
    assert all(len(run.metrics) == METRICS + 1 and len(run.settings) == SETTINGS + 1 for run in runs)
    header, rows = table_rows(runs)
    assert header[-1] == "training.lr"
    assert len({row[-1] for row in rows}) == RUNS
    paths = write_summary(runs, tmp_path / "scan", uri, "many")
    assert [path.suffix for path in paths] == [".csv", ".json", ".pdf"]
    assert len([json.loads(line) for line in paths[1].read_text().splitlines()]) == RUNS
    assert CURVES < RUNS
    assert paths[2].read_bytes().startswith(b"%PDF")
