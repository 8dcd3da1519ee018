"""Every configuration that is shipped trains."""

import math
from pathlib import Path

import numpy as np
import pytest

from lib.check import main as check
from lib.cli.assembly import assemble
from lib.cli.schemas import SCHEMAS, TrainingConfiguration
from lib.config import load_config
from lib.data.normalization import Normalization
from lib.data.stream import open_stream
from lib.training.trainer import Trainer
from tests.data.root_files import make_events, write_root

CONFIGS = sorted(path for path in Path(__file__).parents[1].glob("configs/*/*.yaml") if path.parent.name in SCHEMAS)


def load_small(path: Path, folder: Path) -> TrainingConfiguration:
    """The configuration on four events, two steps long, without what needs minutes or a GPU."""
    for name, first in (("train.root", 0), ("val.root", 10)):
        events = make_events(4, first_event=first)
        # Nanoseconds, as in any file: likelihoods of a second are no numbers.
        events["timeTruth"] *= 1e-9
        # What the simulation writes on request, and some trainings compare with.
        events["nphoExpected"] = np.full_like(events["npho"], 60.0)
        write_root(folder / name, events)
    data = {"train_path": folder / "train.root", "val_path": folder / "val.root", "batch_size": 2, "num_workers": 0}
    assignments = [f"data.{key}={value}" for key, value in data.items()] + ["training.compile=none"]
    return load_config(SCHEMAS[path.parent.name], path, assignments)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_two_steps_of_a_shipped_config_learn_something(path: Path, tmp_path: Path) -> None:
    config = load_small(path, tmp_path)
    normalization = Normalization.from_config(config.normalization)
    parts = assemble(config, normalization)
    branches = parts.task.truth_branches
    before = {name: weight.clone() for name, weight in parts.model.named_parameters()}
    trainer = Trainer(
        parts.model,
        parts.task,
        train=open_stream(config.data, normalization, branches, split="train", seed=0),
        validation=open_stream(config.data, normalization, branches, split="validation", seed=0),
        config=config.training,
        observers=parts.observers,
    )
    metrics = trainer.run_epoch()
    assert trainer.progress.steps_done == 2
    assert metrics["skipped_steps"] == 0
    assert math.isfinite(metrics["val/loss"])
    assert any(not weight.equal(before[name]) for name, weight in parts.model.named_parameters())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_shipped_config_says_which_training_it_is_for(path: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    """``lib.check`` gets as far as the files, which are not there."""
    missing = f"{tmp_path}/nothing"
    assert (
        check(["--config", str(path), "--set", f"data.train_path={missing}", "--set", f"data.val_path={missing}"]) == 2
    )
    assert missing in capsys.readouterr().out


def test_each_training_has_a_base_and_a_quickstart() -> None:
    names = {(path.parent.name, path.stem) for path in CONFIGS}
    assert names >= {(kind, size) for kind in SCHEMAS for size in ("base", "quickstart")}
