"""Lowering the learning rate when nothing improves."""

import pytest

from lib.training.plateau import Plateau
from tests.training.toy import toy_trainer, weights_of

# So fast that the loss goes up and down, with weights that no average smooths.
BOUNCING = {
    "lr_scheduler": "plateau",
    "plateau_patience": 0,
    "plateau_factor": 0.5,
    "epochs": 8,
    "lr": 0.1,
    "warmup_epochs": 0.0,
    "ema_decay": 0.0,
}


def test_the_factor_falls_after_more_epochs_than_patience() -> None:
    plateau = Plateau(patience=2, factor=0.5)
    factors = []
    for loss in (1.0, 1.1, 1.0, 1.2, 0.9, 1.0, float("nan"), 1.0, 1.0, 1.0, 1.0):
        plateau.see(loss)
        factors.append(plateau.factor)
    # The lowest loss is met, not beaten, three times; then three more times above the new lowest; then again.
    assert factors == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]


def test_a_saved_state_goes_on_where_it_was() -> None:
    first, second = Plateau(1, 0.1), Plateau(1, 0.1)
    for loss in (1.0, 2.0):
        first.see(loss)
    second.load_state_dict(first.state_dict())
    for plateau in (first, second):
        plateau.see(3.0)
    assert first.factor == second.factor == pytest.approx(0.1)


def test_a_resumed_training_has_the_same_plateau_and_the_same_weights() -> None:
    settings = BOUNCING
    whole = toy_trainer(**settings)
    rates = [whole.run_epoch()["lr"] for _ in range(8)]
    # Else nothing was tested: at this rate the loss goes up and down.
    assert min(rates) < 0.1
    first = toy_trainer(**settings)
    for _ in range(3):
        first.run_epoch()
    state = first.state()
    second = toy_trainer(**settings)
    second.model.load_state_dict(state["model"])
    second.optimizer.load_state_dict(state["optimizer"])
    second.load_guard(state["guard"])
    second.progress = first.progress
    assert [second.run_epoch()["lr"] for _ in range(5)] == rates[3:]
    assert all(value.equal(weights_of(second)[name]) for name, value in weights_of(whole).items())


def test_a_schedule_that_starts_anew_forgets_the_plateau() -> None:
    trainer = toy_trainer(**BOUNCING)
    for _ in range(8):
        trainer.run_epoch()
    assert trainer.state()["guard"]["plateau"]["factor"] < 1.0
    trainer.restart_schedule()
    assert trainer.state()["guard"]["plateau"]["factor"] == 1.0
