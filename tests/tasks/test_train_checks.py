"""The checks of a training are checked: planted bugs are flagged, a sound training is not."""

from dataclasses import replace

import pytest
import torch

from lib.tasks.gradient_checks import gradient_checks
from lib.tasks.input_checks import input_checks
from lib.tasks.learning_checks import learning_rate_moves, overfit_one_batch, permuted_labels
from lib.tasks.train_checks import train_checks
from lib.tasks.wiring_checks import wiring_checks
from tests.tasks.planted_bugs import BUGS, NOTICED_BY, Trial, inputs_zeroed, sound_autoencoder, sound_regressor

# These need no training of their own.
QUICK = [name for name in BUGS if name != "learning rate 0"]


def failed(trial: Trial, *, everything: bool) -> set[str]:
    if everything:
        return {verdict.check for verdict in train_checks(trial) if not verdict.passed}
    checks = (input_checks, wiring_checks, gradient_checks)
    return {verdict.check for check in checks for verdict in check(trial) if not verdict.passed}


@pytest.mark.parametrize("bug", QUICK)
def test_a_planted_bug_is_flagged_without_a_training(bug: str) -> None:
    make, plant = BUGS[bug]
    assert NOTICED_BY[bug] in failed(plant(make(0)), everything=False)


@pytest.mark.parametrize("make", [sound_regressor, sound_autoencoder])
def test_a_sound_training_passes_every_quick_check(make) -> None:  # type: ignore[no-untyped-def]
    assert failed(make(0), everything=False) == set()


def test_a_learning_rate_of_zero_is_flagged() -> None:
    trial = sound_regressor(0)
    assert learning_rate_moves(trial).passed
    assert not learning_rate_moves(replace(trial, learning_rates=[0.0])).passed


def test_nothing_can_be_learnt_by_heart_from_empty_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    # The sound one needs fewer.
    monkeypatch.setattr("lib.tasks.learning_checks.OVERFIT_STEPS", 20)
    verdict = overfit_one_batch(inputs_zeroed(sound_regressor(0)))
    assert not verdict.passed
    assert "inputs or gradients do not arrive" in verdict.words


def test_a_task_that_writes_the_truth_into_its_outputs_is_flagged() -> None:
    trial = sound_regressor(0)

    class Leaking:
        def prepare(self, batch, *, training):  # type: ignore[no-untyped-def]
            return trial.task.prepare(batch, training=training)

        def score(self, model, prepared):  # type: ignore[no-untyped-def]
            found = trial.task.score(model, prepared)
            return replace(found, outputs={**found.outputs, "energy": prepared.batch.truth["energyTruth"]})

    leaking = replace(trial, task=Leaking())
    assert "outputs ignore the truth" in {one.check for one in wiring_checks(leaking) if not one.passed}
    assert not permuted_labels(leaking).passed


def test_a_frozen_encoder_that_was_asked_for_is_no_fault() -> None:
    _, plant = BUGS["frozen encoder"]
    trial = replace(plant(sound_regressor(0)), encoder_is_frozen=True)
    assert {one.check for one in gradient_checks(trial) if not one.passed} == set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_all_twelve_bugs_are_flagged_and_nothing_else(seed: int) -> None:
    torch.manual_seed(seed)
    for make in (sound_regressor, sound_autoencoder):
        assert failed(make(seed), everything=True) == set()
    missed = [
        bug for bug, (make, plant) in BUGS.items() if NOTICED_BY[bug] not in failed(plant(make(seed)), everything=True)
    ]
    assert missed == []
