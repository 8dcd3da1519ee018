"""A run that is asked to stop at any instant, and started again, ends bit for bit like one that was not."""

import random
from pathlib import Path

import pytest

from lib.cli.entry import EXIT_REQUEUE
from lib.training.supervision.signals import STOPPING
from tests.cli.equal_runs import FILES, assert_equal_runs
from tests.cli.killed_run import LOSSES, Nursery, prepare

pytestmark = [pytest.mark.kill, pytest.mark.filterwarnings("ignore")]


def prove_signals(folder: Path, signals: int, runs: int) -> list[int | None]:
    """Ask runs at seeded instants and compare; return the exit codes of the asked processes.

    Args:
        folder: Empty folder.
        signals: Processes of each run that are asked.
        runs: Runs that are interrupted.
    """
    prepare(folder, FILES, events=12)
    nursery = Nursery("regressor", folder)
    nursery.run("straight")
    rng = random.Random(runs)
    codes = []
    for index in range(runs):
        batches = sorted(rng.sample(range(1, 4 * FILES * 12 // 5), signals))
        codes += nursery.run_asked(f"asked_{index}", batches, rng.choices(STOPPING, k=signals))
        assert_equal_runs(folder, "straight", f"asked_{index}", batches=FILES * 12)
        # A process that was asked saves where it is: no batch is repeated.
        assert (folder / f"asked_{index}.{LOSSES}").read_text().count("\n") == FILES * 12
    return codes


def test_signals_at_random_instants_change_nothing(tmp_path: Path) -> None:
    assert prove_signals(tmp_path, signals=3, runs=1) == [EXIT_REQUEUE] * 3


@pytest.mark.slow
def test_many_signals_at_random_instants_change_nothing(tmp_path: Path) -> None:
    assert prove_signals(tmp_path, signals=4, runs=50) == [EXIT_REQUEUE] * 200
