"""From what a training starts."""

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib.cli.schemas import MaeConfig, RegressorConfig
from lib.cli.start_point import (
    choose_run_name,
    find_resumed,
    initialize,
    load_resumed,
    require_same_normalization,
    resume,
)
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.errors import CheckpointError, ConfigError
from lib.tasks.config import TasksConfig
from lib.tasks.targets import enabled_targets
from lib.training.position import Progress
from lib.training.records.recorder import ModelIdentity
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.saving.sealed_file import write_sealed
from lib.training.trainer import Trainer
from tests.training.toy import ToyBatch, toy_trainer, weights_of

NORMALIZATION = Normalization.from_config(NormalizationConfig())
CONFIG = {"training": {"lr": 1e-2, "epochs": 4}}
Make = Callable[..., MaeConfig]


class EncoderAndHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.decoders = nn.Linear(4, 2)


def make_config(tmp_path: Path, **checkpoint: Any) -> MaeConfig:
    values = {"data": {"train_path": "a", "val_path": "b"}, "checkpoint": {"save_dir": tmp_path, **checkpoint}}
    return MaeConfig.model_validate(values)


def identity(kind: str = "mae", **training: Any) -> ModelIdentity:
    return ModelIdentity(kind, {"training": {**CONFIG["training"], **training}}, {})


def checkpoint_of(trainer: Trainer[ToyBatch], **changes: Any) -> Checkpoint:
    progress = trainer.progress
    checkpoint = Checkpoint(
        kind="mae",
        config=CONFIG,
        about={"normalization": NORMALIZATION.as_dict()},
        epochs_done=progress.epochs_done,
        steps_done=progress.steps_done,
        schedule_start=progress.schedule_start,
        batches_done=progress.batches_done,
        best=0.125,
        run_key="k",
        metrics={},
        **trainer.state(),
    )
    return replace(checkpoint, **changes)


def trained() -> Trainer[ToyBatch]:
    trainer = toy_trainer()
    trainer.run_epoch()
    return trainer


def resumed(tmp_path: Path, checkpoint: Checkpoint, trainer: Trainer[ToyBatch], **settings: Any) -> Trainer[ToyBatch]:
    config = make_config(tmp_path, resume_from="runs/a.pth", **settings)
    resume(trainer, checkpoint, Path("runs/a.pth"), config, identity=identity(), normalization=NORMALIZATION)
    return trainer


def test_a_new_run_goes_on_from_nothing(tmp_path: Path) -> None:
    assert find_resumed(make_config(tmp_path), "run") is None


def test_auto_finds_the_last_checkpoint_of_the_run_or_says_that_there_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(tmp_path, resume_from="auto")
    with caplog.at_level(logging.INFO):
        assert find_resumed(config, "run") is None
    assert f"{tmp_path / 'run' / LAST_NAME} does not exist, so the run starts anew" in caplog.text
    (tmp_path / "run").mkdir()
    write_sealed(tmp_path / "run" / LAST_NAME, {})
    assert find_resumed(config, "run") == tmp_path / "run" / LAST_NAME


def test_auto_takes_the_newest_position_that_is_undamaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config, folder = make_config(tmp_path, resume_from="auto"), tmp_path / "run"
    names = [LAST_NAME, "checkpoint_step_00000200.pth", "checkpoint_step_00000100.pth", BEST_NAME]
    for name in names:
        write_sealed(folder / name, {"name": name})
    for damaged, expected in pairwise(names):
        content = bytearray((folder / damaged).read_bytes())
        content[100] ^= 1
        (folder / damaged).write_bytes(content)
        assert find_resumed(config, "run") == folder / expected
        assert f"goes on from an older position, {folder / expected}" in caplog.text
    (folder / BEST_NAME).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"run: no checkpoint of the run is undamaged.*checkpoint_best"):
        find_resumed(config, "run")


def test_a_run_without_a_name_goes_on_in_its_own_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "own").mkdir()
    with caplog.at_level(logging.INFO):
        assert choose_run_name(make_config(tmp_path, resume_from=str(tmp_path / "own" / LAST_NAME))) == "own"
    assert f"goes on in its own folder, {tmp_path / 'own'}" in caplog.text
    assert choose_run_name(make_config(tmp_path)).startswith("mae_2")
    elsewhere = make_config(tmp_path / "other", resume_from=str(tmp_path / "own" / LAST_NAME))
    assert choose_run_name(elsewhere).startswith("mae_2")


def test_auto_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"auto looks for the run called mlflow\.run_name, which is not set"):
        choose_run_name(make_config(tmp_path, resume_from="auto"))


def test_a_named_checkpoint_is_taken_even_if_it_is_missing(tmp_path: Path) -> None:
    assert find_resumed(make_config(tmp_path, resume_from="x/y.pth"), "run") == Path("x/y.pth")


def test_another_normalization_is_refused_with_both_values() -> None:
    checkpoint = checkpoint_of(toy_trainer())
    other = replace(NORMALIZATION, npho_scale=0.58, npho_scheme="sqrt")
    with pytest.raises(CheckpointError) as refusal:
        require_same_normalization(checkpoint, other, "a.pth")
    message = str(refusal.value)
    assert message.startswith("a.pth: was trained with another normalization")
    assert "npho_scale: 0.58 against 1000.0" in message
    assert "npho_scheme: 'sqrt' against 'log1p'" in message
    assert "time_scale" not in message


def test_a_new_training_may_start_from_the_encoder_of_another(tmp_path: Path) -> None:
    source, target = EncoderAndHead(), EncoderAndHead()
    average = {"encoder.weight": torch.full((4, 4), 0.5)}
    checkpoint_of(toy_trainer(), kind="inpainter", model=source.state_dict(), average=average).save(tmp_path / "a.pth")
    initialize(target, make_config(tmp_path, init_from=tmp_path / "a.pth"), NORMALIZATION)
    assert torch.equal(target.encoder.weight, average["encoder.weight"])
    assert torch.equal(target.encoder.bias, source.encoder.bias)


def test_without_a_start_point_the_weights_stay_fresh(tmp_path: Path) -> None:
    model = EncoderAndHead()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    initialize(model, make_config(tmp_path), NORMALIZATION)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_encoder_of_another_normalization_is_refused(tmp_path: Path) -> None:
    checkpoint_of(toy_trainer(), model=EncoderAndHead().state_dict()).save(tmp_path / "a.pth")
    config = make_config(tmp_path, init_from=tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"a\.pth: .*another normalization.*time_shift: 0\.5 against -0\.46"):
        initialize(EncoderAndHead(), config, replace(NORMALIZATION, time_shift=0.5))


def test_another_kind_is_refused_and_init_from_named() -> None:
    with pytest.raises(
        CheckpointError, match=r"a\.pth: holds a mae, this configuration trains a regressor\.(.|\n)*--init_from"
    ):
        load_resumed(toy_trainer().model, checkpoint_of(toy_trainer()), "regressor", NORMALIZATION, Path("a.pth"))


def test_a_resumed_trainer_stands_where_the_other_stopped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = trained()
    with caplog.at_level(logging.INFO):
        second = resumed(tmp_path, checkpoint_of(first), toy_trainer())
    weights = weights_of(first)
    for name, value in weights_of(second).items():
        assert torch.equal(value, weights[name]), name
    assert second.progress == Progress(epochs_done=1, steps_done=8, schedule_start=0, best=0.125)
    assert f"resumed from {Path('runs/a.pth')} after epoch 1, batch 0" in caplog.text
    assert "configuration changed" not in caplog.text


def test_settings_that_differ_are_told_on_resume(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        resume(
            toy_trainer(),
            checkpoint_of(trained()),
            Path("a.pth"),
            make_config(tmp_path),
            identity=identity(lr=5e-3, seed=1),
            normalization=NORMALIZATION,
        )
    assert "configuration changed since the checkpoint: training.lr: 0.01 -> 0.005" in caplog.text
    assert "configuration changed since the checkpoint: training.seed: not set -> 1" in caplog.text
    assert "training.epochs" not in caplog.text


def test_the_learning_rate_may_begin_anew(tmp_path: Path) -> None:
    second = resumed(tmp_path, checkpoint_of(trained()), toy_trainer(), refresh_lr=True)
    assert second.progress == Progress(epochs_done=1, steps_done=8, schedule_start=8, best=0.125)


def test_the_count_of_epochs_may_begin_anew(tmp_path: Path) -> None:
    second = resumed(tmp_path, checkpoint_of(trained()), toy_trainer(), reset_epoch=True)
    assert second.progress == Progress(epochs_done=0, steps_done=0, schedule_start=0, best=0.125)


@pytest.mark.parametrize(
    ("section", "change", "keeps"),
    [
        ("training", {"grad_accum_steps": 4}, False),
        ("training", {"seed": 7}, False),
        ("training", {"lr": 1e-5}, True),
        ("data", {"batch_size": 4}, False),
        ("data", {"train_path": "other"}, False),
        ("data", {"num_workers": 3}, True),
    ],
)
def test_an_epoch_under_way_goes_on_unless_the_order_of_events_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, section: str, change: dict[str, Any], keeps: bool
) -> None:
    before = {**CONFIG, section: {**CONFIG.get(section, {}), **change}}
    second = resumed(tmp_path, checkpoint_of(trained(), batches_done=4, config=before), toy_trainer())
    assert second.progress.batches_done == (4 if keeps else 0)
    assert ("the epoch that was under way begins anew" in caplog.text) == (not keeps)


def test_averages_begin_with_the_weights_where_the_checkpoint_has_none(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(trained(), average={})
    second = resumed(tmp_path, checkpoint, toy_trainer())
    assert second.average is not None
    averages: dict[str, Tensor] = second.average.state_dict()
    assert all(torch.equal(value, checkpoint.model[name]) for name, value in averages.items())


@pytest.mark.parametrize("fault", ["optimizer", "average"])
def test_other_trainable_parameters_are_refused(tmp_path: Path, fault: str) -> None:
    checkpoint = checkpoint_of(trained())
    if fault == "optimizer":
        checkpoint.optimizer["param_groups"].pop()
    else:
        del checkpoint.average["0.bias"]
    with pytest.raises(CheckpointError, match=r"its optimizer does not fit the trainable parameters"):
        resumed(tmp_path, checkpoint, toy_trainer())


class EncoderAndHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.heads = nn.ModuleDict({name: nn.Linear(4, 1) for name in ("energy", "timing")})


def test_a_head_that_learnt_the_quantity_in_another_form_starts_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = TasksConfig.model_validate({"energy": {}, "timing": {}})
    about = {
        "normalization": NORMALIZATION.as_dict(),
        "targets": {target.name: target.as_dict() for target in enabled_targets(tasks)},
    }
    source, target = EncoderAndHeads(), EncoderAndHeads()
    before = target.heads["energy"].weight.detach().clone()
    checkpoint_of(toy_trainer(), kind="regressor", model=source.state_dict(), average={}, about=about).save(
        tmp_path / "a.pth"
    )
    wanted = {"energy": {"log_transform": True}, "timing": {}}
    config = RegressorConfig.model_validate(
        {
            **make_config(tmp_path, init_from=tmp_path / "a.pth").model_dump(include={"data", "checkpoint"}),
            "tasks": wanted,
        }
    )
    initialize(target, config, NORMALIZATION)
    assert torch.equal(target.heads["energy"].weight, before)
    assert torch.equal(target.heads["timing"].weight, source.heads["timing"].weight)
    assert torch.equal(target.encoder.weight, source.encoder.weight)
    assert "the head of energy starts anew" in caplog.text
    assert "transform: 'logarithmic' against 'linear'" in caplog.text
