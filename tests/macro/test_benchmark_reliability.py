"""The benchmark counts what the suites assert."""

import json
from typing import Any

import pytest

from macro.benchmark_reliability import main

pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns of the protocols that the attacks use


Capture = pytest.CaptureFixture[str]


def rows_of(capsys: Capture, *options: str) -> dict[str, dict[str, Any]]:
    assert main(["--short", "--json", *options]) == 0
    return {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}


def test_every_hostile_or_damaged_checkpoint_is_counted_as_refused(capsys: Capture) -> None:
    rows = rows_of(capsys, "--only", "flips", "hostile")
    assert rows["flips_refused"]["value"] == rows["flips_refused"]["n"] == 200
    assert rows["hostile_checkpoints_refused"]["value"] == rows["hostile_checkpoints_refused"]["n"] >= 60


def test_the_price_of_the_guard_is_measured_on_the_quickstart_regressor(capsys: Capture) -> None:
    rows = rows_of(capsys, "--only", "overhead")
    assert list(rows) == ["guard_overhead_percent"]
    row = rows["guard_overhead_percent"]
    # How large it is belongs to the benchmark; that a step costs more than judging it does not depend on the machine.
    assert 0.0 < row["value"] < 100.0
    assert (row["unit"], row["reference"]) == ("%", 1.0)


@pytest.mark.slow
@pytest.mark.kill
def test_the_short_form_counts_everything_and_finds_nothing_wrong(capsys: Capture) -> None:
    rows = rows_of(capsys)
    assert set(rows) == {
        "kills", "kill_differences", "flips_refused", "hostile_checkpoints_refused", "hostile_checkpoints_longest_s",
        "root_mutants_silent", "root_mutants_unnamed", "false_skips", "guard_overhead_percent",
    }  # fmt: skip
    assert rows["kills"]["value"] >= 22
    for none in ("kill_differences", "root_mutants_silent", "root_mutants_unnamed", "false_skips"):
        assert rows[none]["value"] == 0, none
