"""A step never waits for the device."""

import pytest
import torch

from lib.training.progress import epoch_progress
from tests.training.sync_detector import HostWaitError, NoHostWaits
from tests.training.toy import ToyStream, toy_trainer


@pytest.mark.parametrize(
    "look", [lambda x: x.sum().item(), lambda x: bool(x.sum() > 0), lambda x: x.cpu(), lambda x: x[x > 0]]
)
def test_the_detector_finds_looks_at_values(look) -> None:  # type: ignore[no-untyped-def]
    with NoHostWaits(), pytest.raises(HostWaitError):
        look(torch.ones(3))


@pytest.mark.parametrize(
    "settings", [{}, {"grad_accum_steps": 2, "micro_batch": 5}, {"grad_clip": None, "ema_decay": 0}]
)
def test_no_step_looks_at_a_value(settings: dict[str, object]) -> None:
    trainer = toy_trainer(**settings)
    batches = ToyStream(8).epoch(0)
    with epoch_progress("epoch 1/1", 4) as progress:
        # The first step creates the optimizer's state.
        trainer._step(batches, progress)
        with NoHostWaits():
            for _ in range(3):
                trainer._step(batches, progress)
    assert trainer.progress.steps_done == 4
