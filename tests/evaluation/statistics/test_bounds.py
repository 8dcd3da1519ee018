"""Bounds of the simulation beside resolutions."""

import json
from pathlib import Path

import pytest

from lib.errors import DataError
from lib.evaluation.statistics.bounds import quantity_bounds, read_bounds

ROWS = {
    "bound.u_mm": 0.4, "bound.v_mm": 0.5, "bound.w_mm": 0.6, "bound.energy_percent": 0.3, "bound.time_ps": 46.0,
    "containment.core_percent": 0.4,
}  # fmt: skip


def test_photons_and_containment_add_in_squares() -> None:
    expected = {"energy": 0.5, "time": 46.0, "u": 0.4, "v": 0.5, "w": 0.6}
    assert quantity_bounds(ROWS) == pytest.approx(expected)


def test_what_the_macro_printed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bounds.jsonl"
    path.write_text("\n".join(json.dumps({"name": name, "value": value}) for name, value in ROWS.items()))
    assert read_bounds(path) == quantity_bounds(ROWS)


@pytest.mark.parametrize("text", ["no json", "[]\n", "{}\n", '{"name": "bound.u_mm", "value": 1}\n'])
def test_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bounds.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=r"bounds\.jsonl: not the bounds of a simulation .*estimate_bounds"):
        read_bounds(path)
