"""A validation with events that are not finite."""

import math

import pytest
import torch

from lib.training.finite_events import FiniteEvents
from lib.training.protocol import StepOutput
from tests.training.toy import ToyBatch, ToyObserver, ToyStream, toy_trainer

ROWS = 16


def batch(*bad: int) -> ToyBatch:
    x = torch.arange(float(ROWS))[:, None]
    x[list(bad)] = math.nan
    return ToyBatch(x, x)


def score(batch: ToyBatch) -> StepOutput:
    return StepOutput(batch.x.mean(), {"loss": (batch.x.sum(), torch.tensor(float(len(batch.x))))})


def parts_of(batch: ToyBatch) -> list[ToyBatch]:
    return [part for part, _ in FiniteEvents(score).parts(batch, score(batch))]


def test_a_sound_batch_comes_back_whole() -> None:
    whole = batch()
    assert parts_of(whole)[0] is whole


@pytest.mark.parametrize("bad", [(0,), (15,), (7, 8), (0, 5, 6, 15), tuple(range(ROWS))])
def test_exactly_the_bad_events_are_left_out(bad: tuple[int, ...]) -> None:
    kept = [int(value) for part in parts_of(batch(*bad)) for value in part.x[:, 0]]
    assert kept == [row for row in range(ROWS) if row not in bad]


def test_rows_without_weight_are_no_fault() -> None:
    empty = StepOutput(torch.tensor(math.nan), {"loss": (torch.tensor(0.0), torch.tensor(0.0))})
    assert len(list(FiniteEvents(score).parts(batch(), empty))) == 1


def test_a_model_that_says_nothing_finite_is_not_asked_about_every_event() -> None:
    asked: list[int] = []

    def count(part: ToyBatch) -> StepOutput:
        asked.append(part.num_events)
        return score(part)

    events = FiniteEvents(count, max_scores=10)
    spoilt = batch(*range(ROWS))
    for _ in range(3):
        assert list(events.parts(spoilt, score(spoilt))) == []
    assert len(asked) == 10
    assert events.left_out == events.seen == 3 * ROWS


class SpoiltStream(ToyStream):
    """Some validation events hold NaN."""

    def __init__(self, bad: int) -> None:
        super().__init__(2)
        self._bad = bad

    def epoch(self, epoch: int, first_batch: int = 0):  # type: ignore[no-untyped-def]
        for one in super().epoch(epoch, first_batch):
            one.x[: self._bad] = math.nan
            yield one


def test_the_validation_is_that_of_the_sound_events(caplog: pytest.LogCaptureFixture) -> None:
    observer = ToyObserver()
    trainer = toy_trainer(observer=observer)
    trainer._validation = SpoiltStream(3)
    metrics = trainer.validate(0)
    assert metrics["val/nonfinite_events"] == 6
    assert metrics["val_events"] == 2 * (ROWS - 3)
    assert "6 of 32 validation events are not finite and left out" in caplog.text
    batches = [ToyBatch(one.x[3:], one.y[3:]) for one in ToyStream(2).epoch(0)]
    assert trainer.average is not None
    with torch.no_grad(), trainer.average.swapped():
        errors = torch.cat([trainer.model(one.x) - one.y for one in batches])
    # Sums in another order.
    assert metrics["val/loss"] == pytest.approx(float(errors.square().mean()), rel=1e-5)


def test_a_validation_without_a_sound_event_is_not_finite() -> None:
    trainer = toy_trainer(observer=ToyObserver())
    trainer._validation = SpoiltStream(ROWS)
    metrics = trainer.validate(0)
    assert math.isnan(metrics["val/loss"])
    assert metrics["val/nonfinite_events"] == 2 * ROWS
