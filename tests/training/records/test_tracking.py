"""Following a run in MLflow without ever waiting for it."""

import logging
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from lib.training.records.journal import Record
from lib.training.records.mlflow_store import MlflowStore
from lib.training.records.run_identity import RunIdentity
from lib.training.records.tracking import DEFAULT_STORE, Tracker, tracking_uri

IDENTITY = RunIdentity("tests", "run", "key", {"training.lr": "1"}, {"kind": "mae"})
JOURNAL = Path("artifacts/run/metrics.jsonl")


class StoreDownError(OSError):
    pass


class FakeStore(MlflowStore):
    """Remembers calls in order; the one that is told to fails, the one that is told to waits."""

    calls: list[tuple[Any, ...]]
    failing = ""
    failures_left = 10**9
    known: set[tuple[str, int, float]]
    gate: threading.Event

    def note(self, *call: Any) -> None:
        self.calls.append(call)
        if call[0] == "open":
            self.gate.wait(60)
        if call[0] == self.failing and self.failures_left > 0:
            type(self).failures_left -= 1
            raise StoreDownError("the store is down\nwith many details")

    @staticmethod
    def failures() -> tuple[type[Exception], ...]:
        return (OSError,)

    def open_run(self, name: str, key: str, parameters: dict[str, str], tags: dict[str, str]) -> str:
        self.note("open", name, key, parameters, tags)
        return "run-id"

    def log_metrics(self, run_id: str, metrics: dict[str, float], step: int, time_ms: int) -> None:
        self.note("metrics", run_id, metrics, step, time_ms)
        self.known.update((name, step, value) for name, value in metrics.items())

    def points(self, run_id: str) -> set[tuple[str, int, float]]:
        return set(self.known)

    def log_artifact(self, run_id: str, path: Path) -> None:
        self.note("artifact", run_id, path)

    def register_model(self, run_id: str, name: str, folder: str, tags: dict[str, str]) -> str:
        self.note("register", run_id, name, folder, tags)
        return "1"

    def end_run(self, run_id: str, status: str) -> None:
        self.note("end", run_id, status)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> type[FakeStore]:
    class Store(FakeStore):
        calls: list[tuple[Any, ...]] = []  # noqa: RUF012 - one list for each test
        gate = threading.Event()
        known: set[tuple[str, int, float]] = set()  # noqa: RUF012

    monkeypatch.setattr("lib.training.records.tracking.FIRST_PAUSE_SECONDS", 0.01)
    Store.gate.set()
    monkeypatch.setattr("lib.training.records.tracking.MlflowStore", Store)
    return Store


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_model_is_logged_before_it_is_registered_even_if_the_store_fails_once(
    store: type[FakeStore], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    saved: list[Path] = []
    monkeypatch.setattr("lib.training.records.tracking.save_model_folder", saved.append)
    store.failing, store.failures_left = "register", 1
    tracker = Tracker(IDENTITY, JOURNAL)
    tracker.log_model(Path("run/a.onnx"), "xec_mae")
    tracker.close("FINISHED")
    registered = ("register", "run-id", "xec_mae", "model", {"kind": "mae"})
    assert saved == [Path("run/a.onnx")]
    assert [call for call in store.calls if call[0] in {"artifact", "register"}] == [
        ("artifact", "run-id", Path("run/model")), registered, registered,
    ]  # fmt: skip
    assert len(warnings(caplog)) == 1


def test_everything_reaches_the_store_in_order(store: type[FakeStore], caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(IDENTITY, JOURNAL)
    tracker.log(Record(1, 1000, {"loss": 0.5}))
    tracker.log(Record(2, 2000, {"loss": 0.25}))
    tracker.log_artifact(Path("a.pdf"))
    tracker.close("FINISHED")
    assert store.calls == [
        ("open", "run", "key", {"training.lr": "1"}, {"kind": "mae"}),
        ("metrics", "run-id", {"loss": 0.5}, 1, 1000),
        ("metrics", "run-id", {"loss": 0.25}, 2, 2000),
        ("artifact", "run-id", Path("a.pdf")),
        ("end", "run-id", "FINISHED"),
    ]
    assert warnings(caplog) == []


def test_values_that_are_not_finite_stay_in_the_journal(store: type[FakeStore]) -> None:
    tracker = Tracker(IDENTITY, JOURNAL)
    tracker.log(Record(1, 1000, {"loss": math.nan, "grad_norm_max": math.inf, "lr": 1.0}))
    tracker.close("FINISHED")
    assert ("metrics", "run-id", {"lr": 1.0}, 1, 1000) in store.calls


@pytest.mark.parametrize("failing", ["open", "metrics", "artifact", "end"])
def test_a_store_that_fails_is_one_warning_that_names_cause_and_journal(
    store: type[FakeStore], caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    store.failing = failing
    tracker = Tracker(IDENTITY, JOURNAL)
    for step in (1, 2, 3):
        tracker.log(Record(step, 1000, {"loss": 0.5}))
    tracker.log_artifact(Path("a.pdf"))
    tracker.close("FINISHED")
    assert warnings(caplog) == [
        f"MLflow failed (StoreDownError: the store is down); the training goes on and its records are in {JOURNAL}",
        f"send them later by: python macro/replay_journal.py {JOURNAL.parent}",
    ]


@pytest.mark.parametrize("failing", ["open", "metrics", "artifact", "end"])
def test_a_store_that_comes_back_gets_everything_once(
    store: type[FakeStore], caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    store.failing, store.failures_left = failing, 1
    tracker = Tracker(IDENTITY, JOURNAL)
    for step in (1, 2):
        tracker.log(Record(step, 1000, {"loss": 0.5}))
    tracker.log_artifact(Path("a.pdf"))
    tracker.close("FINISHED")
    assert store.known == {("loss", 1, 0.5), ("loss", 2, 0.5)}
    assert store.calls[-1] == ("end", "run-id", "FINISHED")
    assert len(warnings(caplog)) == 1
    assert sum(call[0] == "metrics" for call in store.calls) == (3 if failing == "metrics" else 2)


def test_a_resumed_run_sends_what_the_store_misses_and_nothing_twice(store: type[FakeStore]) -> None:
    store.known = {("loss", 1, 0.5), ("lr", 2, 1.0)}
    earlier = [Record(1, 1000, {"loss": 0.5}), Record(2, 2000, {"loss": 0.25, "lr": 1.0})]
    Tracker(IDENTITY, JOURNAL, earlier).close("FINISHED")
    assert [call for call in store.calls if call[0] == "metrics"] == [("metrics", "run-id", {"loss": 0.25}, 2, 2000)]


def test_a_store_that_hangs_delays_neither_records_nor_the_end_for_long(
    store: type[FakeStore], caplog: pytest.LogCaptureFixture
) -> None:
    store.gate.clear()
    tracker = Tracker(IDENTITY, JOURNAL)
    tracker.log(Record(1, 1000, {"loss": 0.5}))
    tracker.close("FINISHED", wait_seconds=0.05)
    assert warnings(caplog)[0] == f"MLflow does not answer; its records are in {JOURNAL}"
    store.gate.set()
    tracker._thread.join(60)
    assert [call[0] for call in store.calls] == ["open", "metrics", "end"]


def test_the_environment_names_the_store_and_sqlite_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert tracking_uri() == "http://127.0.0.1:1"
    for unset in ("", None):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        if unset is not None:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", unset)
        assert tracking_uri() == DEFAULT_STORE == "sqlite:///mlruns.db"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("broken", ["no such folder", "no database", "no driver", "no scheme"])
def test_a_real_store_that_cannot_be_used_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    (tmp_path / "text.db").write_text("this is no database, whatever its name says" * 100)
    uris = {
        "no such folder": f"sqlite:///{tmp_path / 'absent' / 'deep' / 'runs.db'}",
        "no database": f"sqlite:///{tmp_path / 'text.db'}",
        "no driver": "postgresql+absent://user@127.0.0.1/runs",
        "no scheme": "carrier-pigeon://loft",
    }
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uris[broken])
    tracker = Tracker(IDENTITY, JOURNAL)
    tracker.log(Record(1, 1000, {"loss": 0.5}))
    tracker.close("FINISHED")
    ours = [message for message in warnings(caplog) if str(JOURNAL) in message]
    assert len(ours) == 1
    assert ours[0].startswith("MLflow failed (")
