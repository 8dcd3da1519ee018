"""Registering an export must find its run, and say what to do where it cannot."""

from pathlib import Path

import pytest

from lib.errors import ConfigError
from lib.training.records import model_registration
from lib.training.records.mlflow_store import MlflowStore
from lib.training.records.model_registration import register_export


class Store(MlflowStore):
    """Has one run, whose key is ``known``, and fails for the experiment ``down``."""

    calls: list[tuple[str, ...]]

    @staticmethod
    def failures() -> tuple[type[Exception], ...]:
        return (OSError,)

    def find_run(self, key: str) -> str | None:
        if self._experiment == "down":
            raise OSError("no answer")
        return "run-id" if key == "known" else None

    def log_artifact(self, run_id: str, path: Path) -> None:
        self.calls.append((run_id, path.name))

    def register_model(self, run_id: str, name: str, folder: str, tags: dict[str, str]) -> str:
        self.calls.append((run_id, name, folder))
        return "3"


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> type[Store]:
    Store.calls = []
    monkeypatch.setattr(model_registration, "MlflowStore", Store)
    monkeypatch.setattr(model_registration, "save_model_folder", lambda path: path.with_name("model"))
    return Store


def test_the_folder_is_logged_with_the_run_and_then_registered(store: type[Store]) -> None:
    assert register_export(Path("run/a.onnx"), "known", "xec", "xec_mae") == "3"
    assert store.calls == [("run-id", "model"), ("run-id", "xec_mae", "model")]


def test_a_run_that_the_store_does_not_have_is_named() -> None:
    with pytest.raises(ConfigError, match="experiment 'xec' has no run of this checkpoint"):
        register_export(Path("run/a.onnx"), "another", "xec", "xec_mae")


def test_a_store_that_is_down_is_the_users_to_mend() -> None:
    with pytest.raises(ConfigError, match=r"cannot be used \(no answer\)"):
        register_export(Path("run/a.onnx"), "known", "down", "xec_mae")
