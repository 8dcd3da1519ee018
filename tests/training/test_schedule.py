"""The learning rate."""

import math

import pytest

from lib.training.schedule import Schedule

COSINE = Schedule("cosine", peak=1.0, floor=0.1, warmup_steps=10, total_steps=110)


def test_warmup_rises_linearly_to_the_peak() -> None:
    assert [COSINE.learning_rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])


def test_the_cosine_passes_its_middle_and_ends_at_the_floor() -> None:
    assert COSINE.learning_rate(10) == pytest.approx(1.0)
    assert COSINE.learning_rate(60) == pytest.approx(0.55)
    assert COSINE.learning_rate(110) == pytest.approx(0.1)
    assert COSINE.learning_rate(500) == pytest.approx(0.1)


def test_without_scheduler_the_peak_stays() -> None:
    constant = Schedule("none", peak=0.5, floor=0.1, warmup_steps=0, total_steps=10)
    assert {constant.learning_rate(step) for step in range(20)} == {0.5}


def test_a_refreshed_schedule_begins_anew_and_ends_with_the_training() -> None:
    refreshed = Schedule("cosine", peak=1.0, floor=0.0, warmup_steps=0, total_steps=100, first_step=50)
    assert refreshed.learning_rate(50) == pytest.approx(1.0)
    assert refreshed.learning_rate(75) == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert refreshed.learning_rate(100) == pytest.approx(0.0)


def test_one_cycle_rises_smoothly_from_a_25th_and_falls_to_the_floor() -> None:
    cycle = Schedule("onecycle", peak=1.0, floor=0.001, warmup_steps=30, total_steps=100)
    rates = [cycle.learning_rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi / 30)))
    assert rates[14] == pytest.approx(0.52)
    assert rates[29] == max(rates) == pytest.approx(1.0)
    assert rates[:30] == sorted(rates[:30])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert cycle.learning_rate(100) == pytest.approx(0.001)
