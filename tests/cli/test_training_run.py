"""Whole trainings through the command line, on a few events and a tiny model."""

import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from matplotlib.figure import Figure

from lib.cli import artifacts, training_run
from lib.cli.assembly import Assembly
from lib.cli.entry import EXIT_DONE, EXIT_REQUEUE, EXIT_SKIP_CAP, EXIT_USER_ERROR, run_command
from lib.config.flat import config_hash
from lib.evaluation import run_report, worst_events
from lib.tasks.restore import load_trained
from lib.training.epoch_sums import CLOCK_METRICS
from lib.training.records.journal import Journal
from lib.training.records.mlflow_store import MlflowStore
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.trainer import Trainer
from tests.data.root_files import make_events, write_root

# Importing MLflow and what it brings warns of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")

MODEL = {
    "stage_dims": [4],
    "stage_depths": [1],
    "inner_patch": 4,
    "encoder_dim": 8,
    "num_heads": 2,
    "dim_feedforward": 8,
    "num_fusion_layers": 1,
    "drop_path_rate": 0.2,
}
TRAINING = {"epochs": 2, "lr": 1e-3, "warmup_epochs": 0.5, "grad_accum_steps": 2, "amp": "none"}
ARTIFACTS = ("--set", "checkpoint.save_artifacts=true")


class PowerCutError(Exception):
    pass


@dataclass(frozen=True)
class Workplace:
    """A working folder with data, configurations and a store."""

    folder: Path

    def run(self, kind: str, name: str, *arguments: str) -> int:
        """Run a training command and return its exit code."""
        command = import_module(f"lib.train_{kind}").main
        options = ["--config", f"{kind}.yaml", "--set", f"mlflow.run_name={name}", *arguments]
        return run_command(command, options)

    def path(self, name: str, file: str) -> Path:
        return self.folder / "artifacts" / name / file

    def last(self, name: str) -> Checkpoint:
        return Checkpoint.load(self.path(name, LAST_NAME))

    def runs(self, experiment: str = "xec") -> dict[str, Any]:
        """Runs of the store by id."""
        client = MlflowStore(f"sqlite:///{self.folder / 'mlruns.db'}", experiment).client
        found = client.get_experiment_by_name(experiment)
        return {run.info.run_id: run for run in client.search_runs([found.experiment_id])}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workplace")
    for split, first, count in (("train", 0, 36), ("val", 100, 10)):
        (folder / split).mkdir()
        write_root(folder / split / "a.root", make_events(count, first_event=first))
    data = {"train_path": "train", "val_path": "val", "batch_size": 8, "chunksize": 64, "num_threads": 1}
    head = {
        "mae": {"model": {**MODEL, "decoder_dim": 4}},
        "inpainter": {"model": {**MODEL, "hidden_dim": 4, "head_depth": 1}},
        "regressor": {"model": {**MODEL, "hidden_dim": 4}, "tasks": {"energy": {}, "uvwFI": {}}},
    }
    for kind, sections in head.items():
        checkpoint = {"save_artifacts": False}
        config = {"kind": kind, "data": data, "training": TRAINING, "checkpoint": checkpoint, **sections}
        (folder / f"{kind}.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture
def work(files: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(files)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Workplace(files)


def cut_power_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the training die before a step; returns what brings the power back."""
    apply = Trainer._apply

    def dying(self: Trainer[Any], accepted: torch.Tensor) -> None:
        if self.progress.steps_done == step:
            raise PowerCutError
        apply(self, accepted)

    monkeypatch.setattr(Trainer, "_apply", dying)
    return lambda: monkeypatch.setattr(Trainer, "_apply", apply)


def signal_at(step: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a signal come while a step is under way, once."""
    apply, waiting = Trainer._apply, [number]

    def signalled(self: Trainer[Any], accepted: torch.Tensor) -> None:
        if self.progress.steps_done == step and waiting:
            os.kill(os.getpid(), waiting.pop())
        apply(self, accepted)

    monkeypatch.setattr(Trainer, "_apply", signalled)


def told(journal: Journal) -> list[dict[str, float]]:
    """What the epochs of a run say, apart from how long they took."""
    return [
        {name: value for name, value in record.metrics.items() if name not in CLOCK_METRICS}
        for record in journal.read()
    ]


def assert_same(first: object, second: object, place: str = "") -> None:
    if isinstance(first, torch.Tensor):
        assert isinstance(second, torch.Tensor)
        assert torch.equal(first, second), place
    elif isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys(), place
        for key, value in first.items():
            assert_same(value, second[key], f"{place}.{key}")
    else:
        assert first == second, place


@pytest.mark.parametrize("kind", ["mae", pytest.param("inpainter", marks=pytest.mark.slow), "regressor"])
def test_a_run_that_crashed_and_went_on_equals_one_that_did_not(
    work: Workplace, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    assert work.run(kind, f"straight_{kind}") == EXIT_DONE
    # An epoch has two steps; the third step is the first of the second epoch.
    restore_power = cut_power_at(3, monkeypatch)
    with pytest.raises(PowerCutError):
        work.run(kind, f"cut_{kind}")
    assert work.last(f"cut_{kind}").epochs_done == 1
    restore_power()
    assert work.run(kind, f"cut_{kind}", "--resume_from", "auto") == EXIT_DONE
    straight, resumed = work.last(f"straight_{kind}"), work.last(f"cut_{kind}")
    for part in ("model", "average", "optimizer", "epochs_done", "steps_done", "schedule_start", "best"):
        assert_same(getattr(straight, part), getattr(resumed, part), part)
    metrics = [told(Journal(work.path(f"{form}_{kind}", ""))) for form in ("straight", "cut")]
    assert metrics[0] == metrics[1]
    assert len(metrics[0]) == 2


@pytest.mark.parametrize(
    "kind", [*(pytest.param(kind, marks=pytest.mark.slow) for kind in ("mae", "inpainter")), "regressor"]
)
def test_a_training_that_normalizes_on_the_device_learns_the_same(work: Workplace, kind: str) -> None:
    for where in ("loader", "device"):
        assert work.run(kind, f"on_{where}_{kind}", "--set", f"data.normalize_on={where}") == EXIT_DONE
    loader, device = (told(Journal(work.path(f"on_{where}_{kind}", ""))) for where in ("loader", "device"))
    # Inputs differ by their last bit, and the optimizer makes a step of any gradient, however small.
    assert device == [pytest.approx(metrics, rel=0.02, abs=1e-3) for metrics in loader]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_saves_inside_the_epoch_and_the_run_ends_as_if_it_had_not_come(
    work: Workplace, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    name = f"signalled_{int(number)}"
    assert work.run("mae", f"not_{name}") == EXIT_DONE
    # The first step of the second epoch.
    signal_at(2, number, monkeypatch)
    tracked = ["--set", f"mlflow.experiment={name}", "--resume_from", "auto"]
    assert work.run("mae", name, *tracked) == EXIT_REQUEUE
    stopped = work.last(name)
    assert (stopped.epochs_done, stopped.steps_done, stopped.batches_done) == (1, 3, 2)
    assert [run.info.status for run in work.runs(name).values()] == ["KILLED"]
    assert work.run("mae", name, *tracked) == EXIT_DONE
    assert [run.info.status for run in work.runs(name).values()] == ["FINISHED"]
    straight, resumed = work.last(f"not_{name}"), work.last(name)
    for part in ("model", "average", "optimizer", "epochs_done", "steps_done", "best"):
        assert_same(getattr(straight, part), getattr(resumed, part), part)
    assert told(Journal(work.path(f"not_{name}", ""))) == told(Journal(work.path(name, "")))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_before_the_first_step_asks_to_be_started_again(
    work: Workplace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    name, assemble = f"early_{int(number)}", training_run.assemble

    def signalled(*arguments: Any) -> Assembly:
        os.kill(os.getpid(), number)
        return assemble(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "assemble", signalled)
        assert work.run("mae", name, "--resume_from", "auto") == EXIT_REQUEUE
    assert "stopped on request before the training began" in caplog.text
    assert not work.path(name, LAST_NAME).exists()


def test_a_resumed_run_goes_on_in_the_store_and_a_new_one_is_begun_on_request(
    work: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore_power = cut_power_at(3, monkeypatch)
    with pytest.raises(PowerCutError):
        work.run("mae", "followed", "--set", "mlflow.experiment=followed")
    [first] = work.runs("followed").values()
    assert first.info.status == "FAILED"
    restore_power()
    work.run("mae", "followed", "--set", "mlflow.experiment=followed", "--resume_from", "auto")
    [run] = work.runs("followed").values()
    assert run.info.run_id == first.info.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params["training.lr"] == "0.001"
    assert {"val/loss", "train/loss", "grad_norm_max", "actual_mask_ratio", "lr"} <= run.data.metrics.keys()
    again = ["--set", "training.epochs=3", "--set", "checkpoint.new_mlflow_run=true", "--resume_from", "auto"]
    work.run("mae", "followed", "--set", "mlflow.experiment=followed", *again)
    assert len(work.runs("followed")) == 2


def test_a_run_that_was_killed_before_its_first_checkpoint_is_the_same_run_in_the_store(
    work: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked = ["--set", "mlflow.experiment=early", "--resume_from", "auto"]
    restore_power = cut_power_at(0, monkeypatch)
    with pytest.raises(PowerCutError):
        work.run("mae", "early", *tracked)
    assert not work.path("early", LAST_NAME).exists()
    restore_power()
    assert work.run("mae", "early", *tracked) == EXIT_DONE
    assert [run.info.status for run in work.runs("early").values()] == ["FINISHED"]


def test_a_regressor_leaves_the_files_that_are_promised(work: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every map of all sensors takes three seconds.
    monkeypatch.setattr(worst_events, "NUM_WORST", 1)
    monkeypatch.setattr(run_report, "draw_saliency", lambda *_: [Figure()])
    assert work.run("regressor", "files", *ARTIFACTS) == EXIT_DONE
    names = {path.name for path in work.path("files", "").iterdir()}
    assert {
        BEST_NAME, LAST_NAME, "metrics.jsonl", "event_ledger.csv",
        "predictions_energy_files.csv", "predictions_uvwFI_files.csv",
        "resolution_energy_files.pdf", "resolution_uvwFI_files.pdf",
        "saliency_profile_files.pdf", "face_weights_files.pdf", "worst_events", "report.html",
    } <= names  # fmt: skip
    worst = {path.name for path in work.path("files", "worst_events").iterdir()}
    assert worst == {"worst_event_01_files.pdf", "worst_events_files.npz"}
    assert "finished after 2 epochs" in work.path("files", "report.html").read_text()
    assert not [name for name in names if "partial" in name]
    assert len(work.path("files", "predictions_energy_files.csv").read_text().splitlines()) == 1 + 10
    metrics = Journal(work.path("files", "")).read()[-1].metrics
    assert {"energy_res_68pct", "uvw_dist_68pct", "val/loss_energy", "val/loss_uvwFI"} <= metrics.keys()
    trained = load_trained(work.path("files", BEST_NAME))
    assert [target.name for target in trained.targets] == ["energy", "uvwFI"]
    about = torch.load(work.path("files", BEST_NAME), weights_only=True)["about"]
    assert {"normalization", "branches", "revision", "environment", "targets"} <= about.keys()
    json.dumps(about)


def test_a_run_notes_where_its_events_went_and_what_its_sensors_lack(work: Workplace) -> None:
    settings = ["training.epochs=1", "data.cut=event < 130", "data.log_invalid_npho=true"]
    assert work.run("regressor", "noted", *(part for text in settings for part in ("--set", text))) == EXIT_DONE
    assert work.path("noted", "event_ledger.csv").read_text().splitlines() == [
        "split,path,read,used,cut,quarantined",
        "train,train/a.root,36,36,0,0",
        "val,val/a.root,10,10,0,0",
    ]
    metrics = Journal(work.path("noted", "")).read()[-1].metrics
    # One dead sensor in each event.
    assert metrics["train/npho_invalid_share"] == metrics["val/npho_invalid_share"] == pytest.approx(1 / 4760)
    assert metrics["train/npho_below_domain_share"] == 0.0


def test_a_disk_that_is_full_at_the_end_spoils_no_training(
    work: Workplace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifacts, "write_report", full)
    assert work.run("regressor", "full", "--set", "training.epochs=1", *ARTIFACTS) == EXIT_DONE
    assert "not every file about the best epoch could be written" in caplog.text
    assert work.last("full").epochs_done == 1


def test_no_figures_are_drawn_unless_wanted(work: Workplace) -> None:
    assert work.run("regressor", "plain") == EXIT_DONE
    assert not list(work.path("plain", "").glob("*.pdf"))


def test_the_page_about_a_run_reaches_the_store(work: Workplace) -> None:
    experiment = ("--set", "mlflow.experiment=paged")
    assert work.run("mae", "paged", "--set", "training.epochs=1", *experiment) == EXIT_DONE
    page = work.path("paged", "report.html").read_text()
    assert "masked autoencoder" in page
    [run] = work.runs("paged").values()
    checkpoint = work.last("paged")
    assert run.data.tags["config_sha256"] == config_hash(checkpoint.config)
    assert run.data.tags["training_data"] == checkpoint.about["training_data"] != ""
    assert {"platform", "revision"} <= run.data.tags.keys()
    store = MlflowStore(f"sqlite:///{work.folder / 'mlruns.db'}", "paged").client
    assert "report.html" in {entry.path for entry in store.list_artifacts(run.info.run_id)}


def test_a_page_that_cannot_be_written_spoils_no_training(
    work: Workplace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifacts, "write_page", full)
    assert work.run("mae", "unpaged", "--set", "training.epochs=1") == EXIT_DONE
    assert "the page about the run could not be written" in caplog.text


def test_a_pretrained_encoder_is_the_start_of_a_regressor(work: Workplace) -> None:
    assert work.run("mae", "pretrained", "--set", "training.epochs=1") == EXIT_DONE
    source = work.path("pretrained", BEST_NAME)
    # Neither step nor averaging moves anything at this learning rate.
    still = ["--set", "training.lr=1e-30", "--set", "training.lr_min=0", "--set", "training.epochs=1"]
    arguments = ["--init_from", str(source), "--resume_from", "auto", *still]
    assert work.run("regressor", "fine", *arguments) == EXIT_DONE
    weights = Checkpoint.load(source).inference_weights
    taken = work.last("fine").model
    for name, value in taken.items():
        if name.startswith("encoder."):
            assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--resume_from", "absent.pth"], "absent.pth: no such checkpoint"),
        (["--set", "data.train_path=absent"], "absent"),
        (["--set", "data.batch_size=64"], "fewer than one batch of 64"),
        (["--set", "training.grad_accum_steps=9"], "one step takes 9 batches"),
        (["--set", "mlflow.run_name=../x"], "a run name becomes a folder"),
    ],
)
def test_a_mistake_of_the_user_ends_with_code_2_and_leaves_no_run(
    work: Workplace, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert work.run("mae", "mistaken", *arguments) == EXIT_USER_ERROR
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not work.path("mistaken", "").exists()


def test_a_folder_with_a_run_is_refused_with_code_2_and_stays_as_it_was(
    work: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert work.run("mae", "taken", "--set", "training.epochs=1") == EXIT_DONE
    content = work.path("taken", LAST_NAME).read_bytes()
    assert work.run("mae", "taken") == EXIT_USER_ERROR
    assert "already holds a run" in capsys.readouterr().err
    assert work.path("taken", LAST_NAME).read_bytes() == content


def test_a_checkpoint_of_another_normalization_is_refused_with_code_2(
    work: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert work.run("mae", "normalized", "--set", "training.epochs=1") == EXIT_DONE
    arguments = ["--resume_from", "auto", "--set", "normalization.npho_scale=0.58"]
    assert work.run("mae", "normalized", *arguments) == EXIT_USER_ERROR
    assert "npho_scale: 0.58 against 1000.0" in capsys.readouterr().err


def test_an_epoch_without_a_single_good_step_ends_with_code_3(work: Workplace) -> None:
    # After the first step every weight is beyond what the forward pass can hold.
    arguments = ["--set", "training.lr=1e30", "--set", "training.warmup_epochs=0", "--set", "training.ema_decay=0"]
    assert work.run("mae", "exploded", *arguments, "--set", "mlflow.experiment=exploded") == EXIT_SKIP_CAP
    [run] = work.runs("exploded").values()
    assert run.info.status == "FAILED"
    assert "stopped by itself or failed after 1 epoch" in work.path("exploded", "report.html").read_text()


def test_a_store_that_is_down_does_not_stop_the_training(
    work: Workplace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/runs.db")
    assert work.run("mae", "untracked", "--set", "training.epochs=1") == EXIT_DONE
    warnings = [record.getMessage() for record in caplog.records if "MLflow" in record.getMessage()]
    assert len(warnings) == 1
    assert "artifacts/untracked/metrics.jsonl" in warnings[0]
    assert len(Journal(work.path("untracked", "")).read()) == 1
