"""The journal of metrics."""

import json
import math
from pathlib import Path

import pytest

from lib.training.journal import Journal


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
