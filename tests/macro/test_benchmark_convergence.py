"""The comparison of learning curves trains both forms for their share of the time."""

import itertools
import json
from pathlib import Path

import pytest
from torch import nn

from lib.baselines import plain_blocks
from lib.baselines.plain_blocks import PlainConvNextBlock, plain_form
from lib.cli import timed_training
from lib.cli.entry import EXIT_DONE
from lib.simulate import main as simulate
from macro import benchmark_convergence

SMALL = [
    "model.stage_dims=[4]",
    "model.stage_depths=[1]",
    "model.encoder_dim=16",
    "model.dim_feedforward=16",
    "model.hidden_dim=8",
    "model.fovea_dims=[4]",
    "model.fovea_depths=[1]",
    "data.batch_size=2",
]


def test_each_form_is_given_its_share_of_the_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for run, (name, events) in enumerate({"train": "100", "val": "10"}.items()):
        simulate(["--output", str(tmp_path / name), "--events", events, "--seed", "1", "--run", str(run)])
    # A second per step, whatever the machine is busy with.
    monkeypatch.setattr(timed_training, "_TIMED_STEPS", 2)
    monkeypatch.setattr(timed_training, "processor_clock", lambda cores: itertools.count().__next__)
    plain: list[nn.Module] = []
    monkeypatch.setattr(plain_blocks, "plain_form", lambda model: plain.append(plain_form(model)) or plain[-1])
    options = ["--data", str(tmp_path), "--minutes", "0.534", "--clock", "cpu", "--cores", "1", "--json"]
    options += [part for text in SMALL for part in ("--set", text)]
    assert benchmark_convergence.main(options) == EXIT_DONE
    reference, *own = map(json.loads, capsys.readouterr().out.splitlines())
    assert plain
    assert all(any(isinstance(one, PlainConvNextBlock) for one in model.modules()) for model in plain)
    assert [row["name"] for row in own] == ["val_loss.own_32th", "val_loss.own_16th", "val_loss.own_8th"]
    assert {row["reference"] for row in own} == {reference["value"]}
    # A second per step: an epoch of 50 steps is left after what the time allows.
    assert [row["context"]["steps"] for row in (reference, *own)] == [32, 1, 2, 4]
