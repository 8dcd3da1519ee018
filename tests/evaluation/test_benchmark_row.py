"""Rows must be what scripts that read them expect."""

import json

import pytest

from lib.evaluation.benchmark_row import BenchmarkRow, machine_context

KEYS = {"name", "value", "unit", "error", "reference", "ratio", "n", "context"}


def test_a_row_is_one_json_object_with_all_keys() -> None:
    row = json.loads(BenchmarkRow("speed", 3.0, "events/s", error=0.1, reference=2.0, n=7).to_json())
    assert set(row) == KEYS
    assert row["ratio"] == 1.5
    assert row["context"]["python"] == machine_context()["python"]


def test_a_row_without_reference_has_no_ratio() -> None:
    row = json.loads(BenchmarkRow("speed", 3.0, "events/s").to_json())
    assert row["ratio"] is row["reference"] is row["error"] is row["n"] is None


def test_people_read_value_error_and_reference() -> None:
    text = BenchmarkRow("speed", 3.0, "events/s", error=0.1, reference=2.0).to_text()
    assert "3 +- 0.1 events/s" in text
    assert "reference 2, ratio 1.500" in text


@pytest.mark.parametrize("key", ["machine", "cores", "threads", "numpy"])
def test_the_context_says_where_a_number_comes_from(key: str) -> None:
    assert machine_context()[key]
