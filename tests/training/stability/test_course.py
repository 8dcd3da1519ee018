"""When a training has left its course, and when it has not."""

import math
from collections.abc import Iterable
from typing import Any

import pytest
import torch

from lib.training.guard import GuardRecord
from lib.training.stability.course import Course
from lib.training.stability.guard_config import GuardConfig

ROLLBACK = {"loss_window": 20, "loss_steps": 5, "loss_decay": 0.5}


def course(**settings: Any) -> Course:
    return Course(GuardConfig.model_validate({"rollback": {**ROLLBACK, **settings}}))


def see(course: Course, losses: Iterable[float]) -> str:
    """Show losses of steps, NaN for a skipped one, and return the trouble."""
    values = torch.tensor(list(losses), dtype=torch.float64)
    accepted = values.isfinite()
    course.see(GuardRecord(values.float(), values, accepted, accepted, values[:, None]))
    return course.trouble


SKIP = math.nan


def test_three_rows_of_skips_within_twenty_steps_are_trouble() -> None:
    assert see(course(), [1, SKIP, 1, SKIP, 1]) == ""
    assert see(course(), [1, SKIP, 1, SKIP, *[1] * 15, SKIP]) == "steps were skipped 3 times within 20 steps"


def test_three_rows_of_skips_over_more_steps_are_none() -> None:
    assert see(course(), [SKIP, *[1] * 10, SKIP, *[1] * 9, SKIP, *[1] * 10, SKIP]) == ""


def test_one_row_counts_once_however_long_up_to_the_cap() -> None:
    assert see(course(), [1, *[SKIP] * 19, 1]) == ""
    assert see(course(), [1, *[SKIP] * 20, 1]) == "20 steps in a row were skipped"


def test_a_loss_that_stays_at_twice_its_median_is_trouble() -> None:
    high = course()
    assert see(high, [1.0] * 30 + [3.0] * 5) == ""
    assert see(high, [3.0]) == "the averaged loss of 2.969 is above 2 times its median of 1 for 5 steps"


def test_a_few_losses_beyond_all_measure_are_not_a_course() -> None:
    seen = Course(GuardConfig())
    assert see(seen, [1.0] * 300 + [1e6] * 8 + [1.0] * 100) == ""
    assert "the averaged loss" in see(seen, [1e6] * 60)


def test_the_loss_must_stay_high_without_a_break() -> None:
    assert see(course(), ([1.0] * 20 + [3.0] * 4) * 5) == ""


def test_nothing_is_judged_before_the_window_is_full() -> None:
    assert see(course(), [1.0] * 10 + [50.0] * 9) == ""


def test_a_slow_rise_is_followed_by_the_median() -> None:
    # Doubling takes 100 steps, five times the window.
    assert see(course(), [2 ** (step / 100) for step in range(500)]) == ""


def test_a_loss_below_zero_has_no_scale() -> None:
    assert see(course(), [-1.0] * 30 + [-0.2] * 30) == ""


def test_skipped_steps_leave_no_trace_in_the_average() -> None:
    with_skips, without = course(), course()
    see(with_skips, [1.0, SKIP, 2.0, 1.5])
    see(without, [1.0, 2.0, 1.5])
    assert with_skips.state_dict()["averages"] == without.state_dict()["averages"]


@pytest.mark.parametrize("loss", [5.5, math.nan, math.inf])
def test_a_validation_far_above_the_best_is_trouble(loss: float) -> None:
    seen = course()
    assert [seen.see_validation(one) for one in (2.0, 1.0, 4.9)] == [True, True, False]
    assert seen.trouble == ""
    assert not seen.see_validation(loss)
    assert f"the validation loss of {loss:.4g} is above 5 times the best, 1" in seen.trouble


def test_a_likelihood_that_passes_zero_is_no_trouble() -> None:
    seen = course()
    for loss in (2.0, 0.5, 0.001, 0.1, -0.2, 0.4, -0.5, 1.5):
        seen.see_validation(loss)
        assert not seen.trouble


def test_the_first_validation_is_never_trouble() -> None:
    seen = course()
    assert not seen.see_validation(math.nan)
    assert seen.trouble == ""


def test_a_course_is_steady_only_away_from_skips_and_high_losses() -> None:
    seen = course()
    steady = [(see(seen, [loss]), seen.is_steady)[1] for loss in [1.0] * 30 + [SKIP] + [1.0] * 21 + [3.0, 3.0, 1.0]]
    # A skip and nineteen steps after it; the average is above twice the median at the second high loss.
    assert steady == [True] * 30 + [False] * 20 + [True, True] + [True, False, True]


def test_what_was_forgotten_is_trouble_no_more_but_the_best_validation_stays() -> None:
    seen = course()
    seen.see_validation(1.0)
    see(seen, [SKIP, 1, SKIP, 1, SKIP])
    seen.forget()
    assert seen.trouble == ""
    assert see(seen, [SKIP, 1, SKIP, 1]) == ""
    seen.see_validation(6.0)
    assert seen.trouble


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_conclusions_go_on_from_a_saved_state(cut: int) -> None:
    losses = [1.0, SKIP] + [1.0 + 0.01 * (step % 7) for step in range(30)] + [SKIP, 3.0, SKIP] + [3.0] * 25
    straight, first, second = course(), course(), course()
    see(straight, losses)
    see(first, losses[:cut])
    second.load_state_dict(first.state_dict())
    see(second, losses[cut:])
    assert str(second.state_dict()) == str(straight.state_dict())
    assert straight.trouble
