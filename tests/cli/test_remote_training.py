"""Trainings that are fed by servers."""

from pathlib import Path

import pytest

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command
from lib.data.files import persistence
from lib.training.saving.checkpoint import LAST_NAME, Checkpoint
from tests.cli.test_training_run import assert_same
from tests.data.file_servers import http_server, xrootd_server
from tests.data.root_files import make_events, write_root

# Importing MLflow and what it brings warns of their own futures.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.server]

QUICKSTART = Path(__file__).parents[2] / "configs" / "regressor" / "quickstart.yaml"
SETTINGS = ("training.epochs=2", "data.batch_size=16", "data.chunksize=64")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(persistence, "PAUSES_S", (0.05, 0.1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "data").mkdir()
    write_root(tmp_path / "data" / "train.root", make_events(64), basket=16)
    write_root(tmp_path / "data" / "val.root", make_events(16, first_event=100))
    return tmp_path


def train(name, place, *settings):
    from lib.train_regressor import main

    paths = (f"data.train_path={place}/train.root", f"data.val_path={place}/val.root", f"mlflow.run_name={name}")
    options = [option for setting in (*paths, *SETTINGS, *settings) for option in ("--set", setting)]
    return run_command(main, ["--config", str(QUICKSTART), *options])


@pytest.mark.parametrize("serve", [http_server, xrootd_server])
def test_a_training_from_a_server_equals_one_from_the_disk(folder, serve):
    assert train("local", folder / "data") == EXIT_DONE
    with serve(folder / "data") as server:
        assert train("remote", server.url) == EXIT_DONE
    local, remote = (Checkpoint.load(folder / "artifacts" / name / LAST_NAME) for name in ("local", "remote"))
    assert_same(local.model, remote.model)


@pytest.mark.parametrize("serve", [http_server, xrootd_server])
def test_a_training_whose_server_goes_away_ends_with_its_url(folder, serve, capsys, monkeypatch):
    from lib.training.trainer import Trainer

    with serve(folder / "data") as server:
        original = Trainer.run_epoch

        def run_epoch(self, *arguments):
            if self.progress.epochs_done == 1:
                server.kill()
            return original(self, *arguments)

        monkeypatch.setattr(Trainer, "run_epoch", run_epoch)
        assert train("cut_off", server.url) == EXIT_USER_ERROR
        message = capsys.readouterr().err
    assert f"{server.url}/train.root: " in message
    assert "does not answer" in message
    assert "Traceback" not in message
