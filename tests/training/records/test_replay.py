"""A journal reaches MLflow after the run, once."""

from pathlib import Path

import pytest

from lib.errors import ConfigError, DataError
from lib.training.records.journal import Journal
from lib.training.records.mlflow_store import MlflowStore
from lib.training.records.replay import replay_journal
from lib.training.records.run_identity import RunIdentity, load_identity, save_identity
from lib.training.saving.folder_lock import FolderLock
from macro.replay_journal import main

# Importing MLflow and what it brings warns of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")

IDENTITY = RunIdentity("tests", "run", "key", {"training.lr": "1"}, {"kind": "mae"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")
    journal = Journal(tmp_path / "run")
    for step in (1, 2, 3):
        journal.append(step, {"val/loss": 1.0 / step, "lr": 1e-4})
    save_identity(tmp_path / "run", IDENTITY, "FINISHED")
    return tmp_path / "run"


def test_an_identity_returns_as_it_was_saved(folder: Path) -> None:
    assert load_identity(folder) == (IDENTITY, "FINISHED")


@pytest.mark.parametrize("content", [None, "text", "[]", "{}", '{"status": "FINISHED", "key": "x"}'])
def test_a_folder_without_a_run_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    expected = "no folder of a run, which would hold run.json" if content is None else "does not say which run this is"
    with pytest.raises(DataError, match=expected):
        replay_journal(tmp_path)


def test_a_replay_sends_what_is_missing_and_a_second_one_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = MlflowStore(f"sqlite:///{folder.parent / 'runs.db'}", "tests")
    run_id = store.open_run(IDENTITY.run_name, IDENTITY.key, {}, {})
    store.log_metrics(run_id, {"val/loss": 0.5}, 2, 1000)
    assert replay_journal(folder) == (3, 5)
    assert replay_journal(folder) == (3, 0)
    expected = {("val/loss", step, 1.0 / step) for step in (1, 2, 3)} | {("lr", step, 1e-4) for step in (1, 2, 3)}
    assert store.points(run_id) == expected
    assert [point.step for point in store.client.get_metric_history(run_id, "val/loss")] == [2, 1, 3]
    assert store.client.get_run(run_id).info.status == "FINISHED"
    assert main([str(folder)]) == 0
    assert "3 epochs, 0 values sent" in capsys.readouterr().out


def test_a_run_under_way_is_left_to_itself(folder: Path) -> None:
    lock = FolderLock(folder)
    with pytest.raises(ConfigError, match="another process is writing"):
        replay_journal(folder)
    lock.release()


def test_a_store_that_is_still_down_is_said_in_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/runs.db")
    with pytest.raises(ConfigError, match=r"runs\.db: cannot be used .* Set MLFLOW_TRACKING_URI"):
        replay_journal(folder)
