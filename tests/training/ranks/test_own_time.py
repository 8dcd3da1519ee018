"""Seconds of a rank's own work, step by step."""

import time

import pytest
import torch

from lib.training.ranks.own_time import KEPT_STEPS, OwnTime


@pytest.fixture
def own_time(monkeypatch: pytest.MonkeyPatch) -> OwnTime:
    # One second passes between any two looks at the clock.
    ticks = iter(range(100_000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    return OwnTime(torch.device("cpu"))


def work(own_time: OwnTime, stretches: int) -> None:
    for _ in range(stretches):
        own_time.start()
        own_time.stop()


def test_the_stretches_of_a_step_are_summed_and_told_once(own_time: OwnTime) -> None:
    for stretches in (2, 1):
        own_time.begin_step()
        work(own_time, stretches)
        # Nothing is under way.
        own_time.stop()
        own_time.step_done()
    assert own_time.take() == [2.0, 1.0]
    assert own_time.take() == []


def test_a_step_that_is_taken_again_counts_once(own_time: OwnTime) -> None:
    own_time.begin_step()
    work(own_time, 3)
    own_time.start()
    own_time.begin_step()
    work(own_time, 1)
    own_time.step_done()
    assert own_time.take() == [1.0]


def test_nothing_piles_up_where_nobody_asks(own_time: OwnTime) -> None:
    for _ in range(KEPT_STEPS + 5):
        own_time.begin_step()
        work(own_time, 1)
        own_time.step_done()
    assert len(own_time.take()) == KEPT_STEPS
