"""Checkpoints, and weights that find their way into models."""

import logging
import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lib.errors import CheckpointError
from lib.training.saving.checkpoint import Checkpoint, initialize_from, load_weights
from lib.training.saving.sealed_file import read_sealed, write_sealed
from tests.training.toy import toy_trainer

SOURCE = Path("runs/a/checkpoint_last.pth")


class Net(nn.Module):
    def __init__(self, depth: int = 2, width: int = 4, head: int = 1) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))
        self.head = nn.Linear(width, head)


def make_checkpoint() -> Checkpoint:
    trainer = toy_trainer()
    trainer.run_epoch()
    return Checkpoint(
        kind="mae",
        config={"training": {"lr": 3e-4, "epochs": 4}, "data": {"train_path": ["a", "b"], "fiducial": False}},
        about={"normalization": {"npho_scale": 1000.0}, "revision": "abc+"},
        epochs_done=1,
        steps_done=8,
        schedule_start=0,
        best=0.25,
        run_key="f00",
        metrics={"val/loss": 0.25},
        **trainer.state(),
    )


def assert_same(first: object, second: object) -> None:
    if isinstance(first, Tensor):
        assert isinstance(second, Tensor)
        torch.testing.assert_close(first, second, rtol=0.0, atol=0.0, equal_nan=True)
    elif isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert_same(value, second[key])
    elif isinstance(first, list):
        assert isinstance(second, list)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


def names_of(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.items() if name.startswith(prefix)}


def test_a_checkpoint_returns_as_it_was_saved(tmp_path: Path) -> None:
    saved = make_checkpoint()
    saved.save(tmp_path / "a.pth")
    loaded = Checkpoint.load(tmp_path / "a.pth")
    assert saved.optimizer["state"]
    assert saved.average
    for field in fields(Checkpoint):
        assert_same(getattr(saved, field.name), getattr(loaded, field.name))


def test_plain_torch_reads_it_and_finds_the_configuration(tmp_path: Path) -> None:
    make_checkpoint().save(tmp_path / "a.pth")
    assert torch.load(tmp_path / "a.pth", weights_only=True)["config"]["training"]["lr"] == 3e-4


@pytest.mark.parametrize(
    ("change", "told"),
    [({"format": 99}, "format 99"), ({"format": None}, "format None"), ({"surplus": 1}, "surplus"), ({}, "format 2")],
)
def test_another_format_is_refused(tmp_path: Path, change: dict[str, object], told: str) -> None:
    path = tmp_path / "a.pth"
    make_checkpoint().save(path)
    content = {**read_sealed(path), **change}
    if not change:
        del content["run_key"]
    write_sealed(path, content)
    with pytest.raises(CheckpointError, match=rf"{told}(.|\n)*another version of the suite"):
        Checkpoint.load(path)


def test_averaged_weights_serve_inference_where_there_are_some() -> None:
    checkpoint = make_checkpoint()
    assert_same(checkpoint.inference_weights, {**checkpoint.model, **checkpoint.average})
    assert not torch.equal(checkpoint.inference_weights["0.weight"], checkpoint.model["0.weight"])
    checkpoint.average.clear()
    assert_same(checkpoint.inference_weights, checkpoint.model)


def test_weights_of_the_same_architecture_are_taken_over() -> None:
    source, target = Net(), Net()
    load_weights(target, source.state_dict(), SOURCE)
    assert_same(dict(target.state_dict()), dict(source.state_dict()))


def test_weights_of_another_architecture_are_refused_by_name_and_nothing_is_taken() -> None:
    target = Net(depth=2)
    before = names_of(target.state_dict(), "")
    weights = Net(head=3).state_dict()
    del weights["encoder.1.bias"]
    weights["encoder.9.bias"] = torch.zeros(4)
    with pytest.raises(CheckpointError) as refusal:
        load_weights(target, weights, SOURCE)
    message = str(refusal.value)
    assert "runs/a/checkpoint_last.pth: belongs to another architecture, 4 parameters differ" in message
    for line in (
        "missing encoder.1.bias",
        "unknown encoder.9.bias",
        "head.bias: model (1,), checkpoint (3,)",
        "head.weight: model (1, 4), checkpoint (3, 4)",
    ):
        assert line in message
    assert_same(dict(target.state_dict()), before)


def test_a_long_list_of_faults_is_cut() -> None:
    with pytest.raises(CheckpointError, match=re.escape("... and 8 more")):
        load_weights(Net(depth=10), Net(depth=0).state_dict(), SOURCE)


def test_the_encoder_is_taken_over_and_what_is_new_is_said(caplog: pytest.LogCaptureFixture) -> None:
    source, target = Net(), Net(head=3)
    head = names_of(target.state_dict(), "head")
    with caplog.at_level(logging.INFO):
        initialize_from(target, source.state_dict(), SOURCE, part="encoder.")
    assert_same(names_of(target.state_dict(), "encoder"), names_of(source.state_dict(), "encoder"))
    assert_same(names_of(target.state_dict(), "head"), head)
    assert "initialized 4 of 6 parameters from runs/a/checkpoint_last.pth; new: head" in caplog.text


def test_what_fits_beside_the_encoder_is_taken_over_too(caplog: pytest.LogCaptureFixture) -> None:
    source, target = Net(), Net()
    with caplog.at_level(logging.INFO):
        initialize_from(target, source.state_dict(), SOURCE, part="encoder.")
    assert_same(dict(target.state_dict()), dict(source.state_dict()))
    assert "new: none" in caplog.text


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Net(width=5), r"encoder\.0\.weight: model \(4, 4\), checkpoint \(5, 5\)"),
        (Net(depth=1), r"encoder\.1\.bias: model \(4,\), checkpoint has none"),
        (Net(depth=3), r"encoder\.2\.bias: model has none, checkpoint \(4,\)"),
    ],
    ids=["wider", "shallower", "deeper"],
)
def test_another_encoder_is_refused(other: nn.Module, told: str) -> None:
    target = Net(depth=2)
    before = names_of(target.state_dict(), "")
    with pytest.raises(CheckpointError, match=rf"its encoder is of another architecture(.|\n)*{told}"):
        initialize_from(target, other.state_dict(), SOURCE, part="encoder.")
    assert_same(dict(target.state_dict()), before)
