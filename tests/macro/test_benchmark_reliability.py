"""The benchmark counts what the suites assert."""

import json

import pytest

from macro.benchmark_reliability import main

pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns of the protocols that the attacks use


def test_every_hostile_or_damaged_checkpoint_is_counted_as_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--short", "--json", "--only", "flips", "hostile"]) == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["flips_refused"]["value"] == rows["flips_refused"]["n"] == 200
    assert rows["hostile_checkpoints_refused"]["value"] == rows["hostile_checkpoints_refused"]["n"] >= 60
