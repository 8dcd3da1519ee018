"""A real store that fails at any time of a run: the training never touches it, and nothing is lost or doubled."""

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lib.training.records import tracking
from lib.training.records.journal import Journal
from lib.training.records.mlflow_store import MlflowStore
from lib.training.records.replay import replay_journal
from lib.training.records.run_identity import RunIdentity, save_identity
from lib.training.records.tracking import Tracker

# Importing MLflow and what it brings warns of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")

IDENTITY = RunIdentity("tests", "run", "key", {"training.lr": "1"}, {"kind": "mae"})
EPOCHS = 6
CALLS = ("open_run", "log_metrics", "points", "set_tags", "end_run")
Fault = Callable[[Path], AbstractContextManager[None]]


@contextmanager
def locked(database: Path) -> Iterator[None]:
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@contextmanager
def read_only(database: Path) -> Iterator[None]:
    """What SQLite says of a file without write permission, which would not stop a superuser."""
    with sqlite3.connect(database) as connection:
        for table in ("metrics", "latest_metrics", "runs", "tags"):
            for event in ("INSERT", "UPDATE"):
                refusal = "BEGIN SELECT RAISE(ABORT, 'attempt to write a readonly database'); END"
                connection.execute(f"CREATE TRIGGER no_{event}_{table} BEFORE {event} ON {table} {refusal}")
    yield
    with sqlite3.connect(database) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'no_%_%'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")


@contextmanager
def deleted(database: Path) -> Iterator[None]:
    """Gone; brought back from a copy."""
    kept = database.with_suffix(".kept")
    database.rename(kept)
    yield
    kept.replace(database)


@contextmanager
def corrupt(database: Path) -> Iterator[None]:
    content = database.read_bytes()
    database.write_bytes(b"\x00" * 4096 + content[4096:])
    yield
    database.write_bytes(content)


@contextmanager
def down(database: Path) -> Iterator[None]:
    def refuse(*arguments: Any) -> None:
        raise ConnectionRefusedError("connection refused")

    with pytest.MonkeyPatch.context() as patch:
        for call in CALLS:
            patch.setattr(MlflowStore, call, refuse)
        yield


@contextmanager
def slow(database: Path) -> Iterator[None]:
    answer = MlflowStore.log_metrics

    def answer_late(*arguments: Any) -> None:
        time.sleep(0.1)
        answer(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MlflowStore, "log_metrics", answer_late)
        yield


FAULTS: list[Fault] = [locked, read_only, deleted, corrupt, down, slow]
# Epochs after which the fault begins and ends; the last one is still there when the process ends.
PHASES = {"start": (0, 2), "middle": (2, 4), "end": (4, None)}


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables; creating them takes seconds."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    MlflowStore(f"sqlite:///{path}", "tests").open_run("other", "other", {}, {})
    return path


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the threads that called the store."""
    names: set[str] = set()

    def noted(call: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any) -> Any:
            names.add(threading.current_thread().name)
            return call(*arguments)

        return note

    for name in CALLS:
        monkeypatch.setattr(MlflowStore, name, noted(getattr(MlflowStore, name)))
    return names


def rows_in_store(database: Path) -> list[tuple[str, int, float]]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT key, step, value FROM metrics JOIN runs USING (run_uuid) WHERE name = 'run'")
        return sorted(rows.fetchall())


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.__name__ for fault in FAULTS])
@pytest.mark.parametrize(
    "phase", ["middle", *(pytest.param(phase, marks=pytest.mark.slow) for phase in ("start", "end"))]
)
def test_the_training_never_calls_the_store_and_after_repair_it_equals_the_journal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    empty_database: Path,
    callers: set[str],
    *,
    fault: Fault,
    phase: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "FIRST_PAUSE_SECONDS", 0.01)
    database = tmp_path / "runs.db"
    shutil.copy(empty_database, database)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    folder = tmp_path / "run"
    journal, (begin, end) = Journal(folder), PHASES[phase]
    save_identity(folder, IDENTITY, "RUNNING")
    trouble = fault(database)
    if begin == 0:
        trouble.__enter__()
    tracker = Tracker(IDENTITY, journal.path)
    for epoch in range(1, EPOCHS + 1):
        tracker.log(journal.append(epoch, {"val/loss": 1.0 / epoch, "lr": 1e-4}))
        # Long enough for a store that works.
        time.sleep(0.1)
        if epoch == begin:
            trouble.__enter__()
        elif epoch == end:
            trouble.__exit__(None, None, None)
    tracker.close("FINISHED", wait_seconds=0.2)
    if end is None:
        trouble.__exit__(None, None, None)
    assert callers == {"mlflow"}
    # The end of a process ends the thread; here it must be waited for.
    tracker._thread.join(60)
    save_identity(folder, IDENTITY, "FINISHED")
    # By another name, as from another process: this one still holds connections to what the file was.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/./runs.db")
    replay_journal(folder)
    assert replay_journal(folder) == (EPOCHS, 0)
    expected = [
        (name, epoch, value)
        for epoch in range(1, EPOCHS + 1)
        for name, value in (("lr", 1e-4), ("val/loss", 1.0 / epoch))
    ]
    assert rows_in_store(database) == sorted(expected)
