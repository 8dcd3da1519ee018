"""One process and two train in turns, and their rates are printed side by side."""

import json

import pytest

from lib.cli.entry import EXIT_DONE
from macro import benchmark_distributed


@pytest.mark.slow
def test_the_rate_of_two_processes_stands_beside_that_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark_distributed.main(["--batch", "4", "--steps", "2", "--turns", "2", "--json"]) == EXIT_DONE
    one, two = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [row["name"] for row in (one, two)] == ["distributed.one_process", "distributed.2_ranks"]
    assert two["reference"] == one["value"] > 0
    assert two["ratio"] > 0
    assert one["n"] == two["n"] == 2 * 2 * 4
