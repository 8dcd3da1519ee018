"""A real store in a SQLite file."""

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from lib.training.records.mlflow_store import KEY_TAG, SQLITE_CACHE_KB, TRAINING_KIND, MlflowStore

# Importing MLflow and what it brings warns of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")

START_RUNS = """
import sys
from lib.training.records.mlflow_store import MlflowStore
uri, name = sys.argv[1:]
store = MlflowStore(uri, "shared")
run = store.open_run(name, name, {"lr": "1"}, {})
for step in range(3):
    store.log_metrics(run, {"loss": float(step)}, step, 1000 + step)
store.end_run(run, "FINISHED")
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowStore]:
    with pytest.MonkeyPatch.context() as patch:
        # Artifacts go below the working folder.
        patch.chdir(tmp_path_factory.mktemp("store"))
        yield MlflowStore("sqlite:///runs.db", "tests")


def test_parameters_metrics_tags_and_end_are_found_again(store: MlflowStore) -> None:
    parameters = {f"section.key_{index}": str(index) for index in range(150)} | {"long": "x" * 900}
    run_id = store.open_run("first", "key-1", parameters, {"kind": "mae"})
    store.log_metrics(run_id, {"val/loss": 0.5, "lr": 1e-4}, 3, 123_456)
    store.end_run(run_id, "FINISHED")
    run = store.client.get_run(run_id)
    assert run.info.run_name == "first"
    assert run.info.status == "FINISHED"
    assert run.data.params == {**parameters, "long": "x" * 500}
    assert run.data.metrics == {"val/loss": 0.5, "lr": 1e-4}
    assert run.data.tags["kind"] == "mae"
    assert run.data.tags[KEY_TAG] == "key-1"
    assert store.client.get_experiment(run.info.experiment_id).tags.items() >= TRAINING_KIND.items()
    point = store.client.get_metric_history(run_id, "val/loss")[0]
    assert (point.step, point.timestamp, point.value) == (3, 123_456, 0.5)


KILLED_WHILE_CREATING = """
import os, sqlite3, sys
import sqlalchemy
from lib.training.records.mlflow_store import MlflowStore

def count(connection, cursor, statement, *rest):
    count.statements += 1
    if count.statements == int(sys.argv[2]):
        os.kill(os.getpid(), 9)

count.statements = 0
sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", count)
MlflowStore(sys.argv[1], "killed").client
"""


@pytest.mark.kill
@pytest.mark.parametrize("statement", [1, 40, 150, 300])
def test_a_kill_while_a_database_is_created_leaves_none(tmp_path: Path, statement: int) -> None:
    uri = f"sqlite:///{tmp_path}/runs.db"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED_WHILE_CREATING, uri, str(statement)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "runs.db").exists()
    run_id = MlflowStore(uri, "tests").open_run("next", "key", {}, {})
    assert run_id
    assert {path.name for path in tmp_path.iterdir()} == {"runs.db", ".runs.db.lock"}


def test_the_cache_of_a_database_that_runs_are_written_to_stays_small(store: MlflowStore, tmp_path: Path) -> None:
    store.open_run("small", "key-small", {}, {})
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/other.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -SQLITE_CACHE_KB
    engine.dispose()


def test_a_relative_database_is_that_of_the_folder_where_it_was_named(tmp_path: Path) -> None:
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path / name)
            store = MlflowStore("sqlite:///own.db", "tests")
        store.open_run(name, name, {}, {})
        experiment = store.client.get_experiment_by_name("tests").experiment_id
        found.append([run.info.run_name for run in store.client.search_runs([experiment])])
    assert found == [["here"], ["there"]]
    assert (tmp_path / "there" / "own.db").exists()


def test_the_same_key_goes_on_with_the_same_run_and_another_key_does_not(store: MlflowStore) -> None:
    first = store.open_run("resumed", "key-2", {"lr": "1"}, {"revision": "a"})
    store.log_metrics(first, {"loss": 2.0}, 1, 1)
    store.end_run(first, "FAILED")
    again = store.open_run("resumed", "key-2", {"lr": "2"}, {"revision": "b"})
    store.log_metrics(again, {"loss": 1.0}, 2, 2)
    assert again == first
    run = store.client.get_run(first)
    assert run.info.status == "RUNNING"
    assert run.data.tags["revision"] == "b"
    assert [point.step for point in store.client.get_metric_history(first, "loss")] == [1, 2]
    assert store.open_run("resumed", "key-3", {}, {}) != first


def test_a_file_and_a_folder_become_artifacts(store: MlflowStore, tmp_path: Path) -> None:
    run_id = store.open_run("artifacts", "key-4", {}, {})
    (tmp_path / "figure.pdf").write_text("a")
    (tmp_path / "worst_events").mkdir()
    (tmp_path / "worst_events" / "event_01.pdf").write_text("b")
    store.log_artifact(run_id, tmp_path / "figure.pdf")
    store.log_artifact(run_id, tmp_path / "worst_events")
    client = store.client
    assert {entry.path for entry in client.list_artifacts(run_id)} == {"figure.pdf", "worst_events"}
    assert [entry.path for entry in client.list_artifacts(run_id, "worst_events")] == ["worst_events/event_01.pdf"]


def test_a_run_registers_one_version_and_another_run_the_next(store: MlflowStore, tmp_path: Path) -> None:
    assert store.find_run("key-6") is None
    runs = [store.open_run("registered", key, {}, {}) for key in ("key-6", "key-7")]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}\n")
    for run_id in runs:
        store.log_artifact(run_id, tmp_path / "model")
    numbers = [store.register_model(run_id, "tests_mae", "model", {"sweep": "s"}) for run_id in (*runs, runs[0])]
    assert numbers == ["1", "2", "1"]
    assert store.find_run("key-7") == runs[1]
    version = store.client.get_model_version("tests_mae", "2")
    assert (version.run_id, version.tags["sweep"]) == (runs[1], "s")
    assert Path(store.client.get_model_version_download_uri("tests_mae", "2"), "MLmodel").exists()


def test_the_store_speaks_only_of_what_goes_wrong(store: MlflowStore) -> None:
    store.open_run("quiet", "key-5", {}, {})
    assert logging.getLogger("alembic").level == logging.getLogger("mlflow").level == logging.WARNING


def test_what_a_store_may_raise_is_named(store: MlflowStore) -> None:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    assert issubclass(MlflowException, store.failures())
    assert issubclass(OperationalError, store.failures())
    assert issubclass(ConnectionError, store.failures())
    assert not issubclass(ZeroDivisionError, store.failures())


def test_without_mlflow_its_absence_is_such_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    assert MlflowStore.failures() == (ImportError, OSError)


@pytest.mark.slow
def test_two_processes_that_create_the_database_together_lose_nothing(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-W", "ignore", "-c", START_RUNS, uri]
    processes = [
        subprocess.Popen([*command, name], cwd=root, stderr=subprocess.PIPE, text=True) for name in ("one", "two")
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    client = MlflowStore(uri, "shared").client
    experiments = [experiment.name for experiment in client.search_experiments()]
    assert sorted(experiments) == ["Default", "shared"]
    runs = client.search_runs([client.get_experiment_by_name("shared").experiment_id])
    assert {run.info.run_name for run in runs} == {"one", "two"}
    for run in runs:
        assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [0.0, 1.0, 2.0]
