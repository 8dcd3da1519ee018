"""The checkpoint of the best epoch holds no older states, and going on from it is well defined without them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lib.training.position import Progress
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.trainer import Trainer
from tests.training.records.test_recorder import SilentTracker, open_recorder
from tests.training.saving.test_checkpoint import assert_same
from tests.training.stability.test_rollback import STEPS, Listener, make_trainer, told
from tests.training.toy import ToyBatch, weights_of


@pytest.fixture
def best_and_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Checkpoint, Checkpoint]:
    """The two checkpoints of a first epoch without trouble."""
    monkeypatch.setattr("lib.training.records.recorder.Tracker", SilentTracker)
    trainer, recorder = make_trainer(()), open_recorder(tmp_path)
    recorder.record_epoch(trainer, trainer.run_epoch(), is_last=True)
    recorder.close("FINISHED")
    return Checkpoint.load(tmp_path / BEST_NAME), Checkpoint.load(tmp_path / LAST_NAME)


def continued(checkpoint: Checkpoint, poisoned: tuple[int, ...] = ()) -> Trainer[ToyBatch]:
    trainer = make_trainer(poisoned)
    trainer.model.load_state_dict(checkpoint.model)
    trainer.optimizer.load_state_dict(checkpoint.optimizer)
    assert trainer.average is not None
    trainer.average.load_state_dict(checkpoint.average)
    trainer.load_guard(checkpoint.guard)
    trainer.progress = Progress(checkpoint.epochs_done, checkpoint.steps_done, best=checkpoint.best)
    return trainer


def kept_steps(checkpoint: Checkpoint) -> list[int]:
    return [state["step"] for state in checkpoint.guard["rollback"]["kept"]]


def test_the_best_holds_no_older_states_and_all_else_that_the_last_holds(best_and_last: Any, tmp_path: Path) -> None:
    best, last = best_and_last
    assert kept_steps(best) == []
    assert len(kept_steps(last)) == 2
    assert_same(vars(best), vars(last.without_kept_states()))
    # Two kept states of weights, averages and two moments beside the same of the run itself.
    assert (tmp_path / LAST_NAME).stat().st_size > 2 * (tmp_path / BEST_NAME).stat().st_size


def test_a_checkpoint_without_a_guard_stays_as_it_is(best_and_last: Any) -> None:
    bare = Checkpoint(**{**vars(best_and_last[0]), "guard": {}})
    assert bare.without_kept_states() is bare


def test_a_sound_epoch_after_the_best_is_the_same_as_after_the_last(best_and_last: Any) -> None:
    from_best, from_last = (continued(checkpoint) for checkpoint in best_and_last)
    assert told(from_best.run_epoch()) == told(from_last.run_epoch())
    weights = weights_of(from_last)
    assert all(torch.equal(value, weights[name]) for name, value in weights_of(from_best).items())


def test_a_run_from_the_best_goes_back_to_states_of_its_own(best_and_last: Any) -> None:
    best, _ = best_and_last
    trainer = continued(best, poisoned=(88, 92, 95))
    listener = Listener(trainer)
    trainer.run_epoch(listener)
    (report,) = listener.reports
    # Kept at the first look after it began, as a new run keeps its own first state; the next one is 40 steps later.
    assert report.to_step == STEPS + 41
    assert report.step == STEPS + 101
    gone_back_to = listener.weights[-1]
    assert all(torch.equal(value, gone_back_to[name]) for name, value in listener.weights[report.to_step].items())


def test_trouble_before_there_is_such_a_state_costs_a_warning(
    best_and_last: Any, caplog: pytest.LogCaptureFixture
) -> None:
    best, _ = best_and_last
    trainer = continued(best, poisoned=(8, 12, 15))
    listener = Listener(trainer)
    trainer.run_epoch(listener)
    assert listener.reports == []
    assert "there is no state 30 steps older to go back to" in caplog.text
    assert trainer.progress.steps_done == 2 * STEPS
