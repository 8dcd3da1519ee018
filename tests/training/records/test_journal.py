"""The journal of metrics."""

import errno
import json
import math
import os
import weakref
from pathlib import Path

import pytest

from lib.training.records.journal import Journal
from tests.test_atomic import flushed_paths


def test_records_return_in_order_as_they_were_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    written = [journal.append(step, {"val/loss": 1.0 / step, "lr": 3e-4}) for step in (1, 2, 3)]
    assert journal.read() == written
    assert [record.step for record in written] == [1, 2, 3]


def test_a_number_returns_to_its_last_digit(tmp_path: Path) -> None:
    values = {"a": 0.1 + 0.2, "b": 5e-324, "c": 1.7976931348623157e308, "d": -0.0}
    Journal(tmp_path).append(1, values)
    read = Journal(tmp_path).read()[0].metrics
    assert {name: value.hex() for name, value in read.items()} == {name: value.hex() for name, value in values.items()}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_returns_as_nan_from_lines_that_stay_json(tmp_path: Path, value: float) -> None:
    journal = Journal(tmp_path)
    journal.append(1, {"val/loss": value, "lr": 0.5})

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    assert json.loads(journal.path.read_text(), parse_constant=refuse)["metrics"] == {"val/loss": None, "lr": 0.5}
    metrics = journal.read()[0].metrics
    assert math.isnan(metrics["val/loss"])
    assert metrics["lr"] == 0.5


def test_a_last_line_cut_anywhere_is_left_out_and_never_glued_to_the_next(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first, _ = journal.append(1, {"loss": 0.5}), journal.append(2, {"loss": 0.25})
    content = journal.path.read_bytes()
    begin = content.index(b"\n") + 1
    for length in range(begin, len(content)):
        journal.path.write_bytes(content[:length])
        assert journal.read() == [first]
        again = Journal(tmp_path)
        repeated = again.append(2, {"loss": 0.25})
        assert again.read() == [first, repeated]


def test_opening_a_whole_journal_changes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(1, {"loss": 0.5})
    content = journal.path.read_bytes()
    assert Journal(tmp_path).path.read_bytes() == content


def test_a_run_that_has_not_finished_an_epoch_has_no_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "run")
    assert journal.read() == []
    assert not journal.path.exists()


def test_a_repeated_epoch_stands_once_with_its_first_record(tmp_path: Path) -> None:
    first = Journal(tmp_path).append(1, {"loss": 0.5, "train/events_per_second": 10.0, "val": math.nan})
    again = Journal(tmp_path).append(1, {"loss": 0.5, "train/events_per_second": 99.0, "val": math.nan})
    assert again == first or math.isnan(again.metrics["val"])
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_an_epoch_that_came_out_otherwise_replaces_the_old_one_and_those_after_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step in (1, 2, 3):
        journal.append(step, {"loss": 1.0})
    other = Journal(tmp_path).append(2, {"loss": 0.5})
    assert Journal(tmp_path).read() == [journal.read()[0], other]


def test_a_disk_that_refuses_costs_a_warning_and_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path)
    first = journal.append(1, {"loss": 1.0})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        journal.append(2, {"loss": 0.5})
        journal.append(3, {"loss": 0.25})
    assert len(caplog.records) == 2
    assert "2 records wait for the next epoch" in caplog.text
    journal.append(4, {"loss": 0.125})
    records = Journal(tmp_path).read()
    assert records[0] == first
    assert [(record.step, record.metrics["loss"]) for record in records] == [(1, 1.0), (2, 0.5), (3, 0.25), (4, 0.125)]


def test_a_new_journal_reaches_the_disk_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = flushed_paths(monkeypatch)
    journal = Journal(tmp_path)
    journal.append(1, {"loss": 1.0})
    assert flushed == [journal.path, tmp_path]
    journal.append(2, {"loss": 0.5})
    assert flushed[2:] == [journal.path]


def test_a_name_that_the_disk_refuses_is_tried_again_with_the_next_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path)
    with monkeypatch.context() as patch:
        flushed_paths(patch, refused=tmp_path)
        journal.append(1, {"loss": 1.0})
    assert "1 records wait for the next epoch" in caplog.text
    flushed = flushed_paths(monkeypatch)
    journal.append(2, {"loss": 0.5})
    assert flushed == [journal.path, tmp_path]
    assert [record.step for record in Journal(tmp_path).read()] == [1, 2]


def test_a_record_is_let_go_of_when_a_later_one_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for again in (False, True):
        first = weakref.ref(journal.append(1, {"loss": 1.0}))
        assert first() is not None
        journal.append(2, {"loss": 0.5})
        assert first() is None, again
        # Resumed, it knows both, and lets go of them likewise.
        journal = Journal(tmp_path)
