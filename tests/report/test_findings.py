"""Each kind of trouble must be found, and a healthy run must raise no alarm."""

from pathlib import Path

import pytest

from lib.report.findings import find_worries
from lib.report.run_folder import read_run
from lib.report.summary import bottleneck
from tests.report.made_run import add_ledger, make_run


def test_a_healthy_run_raises_no_alarm(tmp_path: Path) -> None:
    assert find_worries(read_run(make_run(tmp_path))) == []


@pytest.mark.parametrize(
    ("metrics", "weight", "expected"),
    [
        ({"skipped_steps": 2.0, "nonfinite_steps": 0.0}, "watch", "6 steps were skipped, 0 of them"),
        ({"skipped_steps": 2.0, "nonfinite_steps": 1.0}, "serious", "6 steps were skipped, 3 of them"),
        ({"train/rollbacks": 1.0, "train/undone_steps": 20.0}, "serious", "left its course 3 times"),
        ({"val/loss_over_constant_energy": 1.2}, "serious", "energy: the error is 1.20 times"),
        ({"val/dead_units": 0.75}, "serious", "75% of the embedding"),
        ({"val/loss": 9.0}, "watch", "times the training loss"),
        ({"val/loss": float("nan")}, "serious", "No validation loss is finite"),
        ({"grad_norm_p50": 4.0}, "watch", "most gradients were clipped"),
        ({"train/data_wait_share": 0.6}, "watch", "waited for data 60%"),
    ],
)
def test_trouble_in_the_metrics_is_found(tmp_path: Path, metrics: dict[str, float], weight: str, expected: str) -> None:
    (finding,) = find_worries(read_run(make_run(tmp_path, metrics=metrics)))
    assert expected in finding.text
    assert finding.weight == weight


def test_a_run_that_failed_is_serious(tmp_path: Path) -> None:
    (finding,) = find_worries(read_run(make_run(tmp_path, status="FAILED")))
    assert (finding.weight, "FAILED" in finding.text) == ("serious", True)


def test_epochs_that_brought_nothing_are_told(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, epochs=6))
    run.records[1].metrics["val/loss"] = 0.01
    (finding,) = find_worries(run)
    assert "best epoch was 2; the 4 after it" in finding.text


@pytest.mark.parametrize(("lost", "weight"), [(1, "watch"), (50, "serious")])
def test_events_that_could_not_be_read_are_told(tmp_path: Path, lost: int, weight: str) -> None:
    add_ledger(make_run(tmp_path), quarantined=lost)
    (finding,) = find_worries(read_run(tmp_path))
    assert finding.text.startswith(f"{lost} of 1000 events")
    assert finding.weight == weight


def test_the_largest_part_of_a_step_is_the_bottleneck(tmp_path: Path) -> None:
    metrics = {"profile/forward_share": 0.3, "profile/backward_share": 0.5, "profile/peak_share": 0.9}
    assert "backward (50%)" in bottleneck(read_run(make_run(tmp_path, metrics=metrics)))


def test_waiting_tells_what_sets_the_pace_without_a_profile(tmp_path: Path) -> None:
    assert "so reading data sets the pace" in bottleneck(
        read_run(make_run(tmp_path, metrics={"train/data_wait_share": 0.7}))
    )
