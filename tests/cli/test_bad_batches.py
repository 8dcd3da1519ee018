"""A bad batch leaves the real encoder's training bit for bit as if it had never been drawn."""

import math
import random
from typing import Any

import numpy as np
import pytest
import torch

from lib.data.batch import EventBatch
from lib.training.trainer import Trainer
from tests.cli.tiny_training import Fault, Spoil, make_batch, tiny_trainer

ACCUMULATION = 3
STEPS = 4
BAD_STEP = 2
# The window is judged from the second step on, so what it knows matters to the step after the bad one.
GUARD = {"window": 8, "active_after": 4, "level_shift_steps": 4}
POOL = [make_batch(number, 2) for number in range(ACCUMULATION * STEPS)]
PLACES = ("x", "truth", "loss", "gradient")


class NeverDrawn(Trainer[EventBatch]):
    """Leaves one step out: its batches are gone, and nothing else happens."""

    def _step(self, batches: Any, progress: Any) -> None:
        if self.progress.steps_done != BAD_STEP:
            super()._step(batches, progress)
            return
        for _ in range(ACCUMULATION):
            next(batches)
        self.progress.steps_done += 1
        self.progress.batches_done += ACCUMULATION


def trained(spoil: Spoil, precision: str, kind: type[Trainer[EventBatch]] = Trainer) -> Trainer[EventBatch]:
    settings = {"amp": precision, "grad_accum_steps": ACCUMULATION, "guard": GUARD, "epochs": 1, "warmup_epochs": 0.0}
    trainer = tiny_trainer(POOL, ACCUMULATION * STEPS, spoil=spoil, **settings)
    trainer.__class__ = kind
    trainer._train_epoch(0)
    return trainer


def bits(value: Any) -> Any:
    """Anything that a checkpoint holds, with tensors as their bytes."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {name: bits(entry) for name, entry in value.items()}
    return [bits(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def everything(trainer: Trainer[EventBatch]) -> dict[str, Any]:
    """Weights, buffers, moments, averages, statistics of the guard, learning rate, random numbers."""
    content = trainer._content()
    generators = {"torch": torch.get_rng_state(), "python": random.getstate(), "numpy": str(np.random.get_state())}  # noqa: NPY002

    return bits({**content, "generators": generators, "progress": vars(trainer.progress)})


@pytest.fixture(scope="module", params=["none", "bf16"])
def reference(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, everything(trained({}, request.param, NeverDrawn))


@pytest.mark.parametrize("position", range(ACCUMULATION))
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", [math.nan, pytest.param(math.inf, marks=pytest.mark.slow)])
def test_a_bad_batch_is_as_if_never_drawn(
    place: str, position: int, value: float, reference: tuple[str, dict[str, Any]]
) -> None:
    precision, expected = reference
    trainer = trained({BAD_STEP * ACCUMULATION + position: Fault(**{place: value})}, precision)
    assert trainer._sums.nonfinite == trainer._sums.skipped == 1
    found = everything(trainer)
    assert {name for name in found if found[name] != expected[name]} == set()


def test_the_comparison_would_see_a_single_bit() -> None:
    """A bad batch that is merely bad, not infinite, is trained on and changes everything but the position."""
    sound, other = everything(trained({}, "none")), everything(trained({7: Fault(x=1.01)}, "none"))
    assert {name for name in sound if sound[name] != other[name]} >= {"model", "average", "optimizer", "guard"}
