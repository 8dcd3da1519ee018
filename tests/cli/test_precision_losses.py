"""Trainings in bf16 reach the validation losses of those in float32."""

import itertools
from pathlib import Path

import pytest

from lib.cli.schemas import SCHEMAS
from lib.cli.timed_training import train_within
from lib.config import load_config
from lib.simulate import main as simulate

CONFIGS = Path(__file__).parents[2] / "configs"
STEPS = 250.0


@pytest.mark.slow
# After so few steps two trainings of a regressor differ by 2 % anyway, by whatever they are disturbed.
@pytest.mark.parametrize("kind", ["mae", "inpainter"])
def test_bf16_ends_with_the_validation_loss_of_float32(tmp_path: Path, kind: str) -> None:
    for run, (name, events) in enumerate({"train": "4000", "val": "500"}.items()):
        simulate(["--output", str(tmp_path / name), "--events", events, "--seed", "1", "--run", str(run)])
    losses = {}
    for precision in ("none", "bf16"):
        settings = [f"data.train_path={tmp_path / 'train'}", f"data.val_path={tmp_path / 'val'}"]
        settings += [f"training.amp={precision}", "data.batch_size=16", "training.lr=3e-4"]
        config = load_config(SCHEMAS[kind], CONFIGS / kind / "quickstart.yaml", settings)
        # A clock that ticks at each step, whatever the machine is busy with.
        losses[precision] = train_within(config, STEPS, itertools.count().__next__).metrics["val/loss"]
    assert losses["bf16"] == pytest.approx(losses["none"], rel=0.01)
