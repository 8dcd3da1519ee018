"""A run that is killed at any instant and started again ends bit for bit like one that was not."""

import random
from pathlib import Path

import pytest

from lib.training.records.journal import Journal
from tests.cli.equal_runs import FILES, assert_equal_runs
from tests.cli.killed_run import KINDS, Nursery, prepare

pytestmark = [pytest.mark.kill, pytest.mark.filterwarnings("ignore")]


def prove(folder: Path, kind: str, events: int, kills: int, runs: int = 1) -> int:
    """Kill runs at seeded instants and compare.

    Args:
        folder: Empty folder.
        kind: What is trained.
        events: Events of each file; a batch has two, a step two batches, a run two epochs.
        kills: Processes of each run that are killed, so many that several of them are at work on the same epoch.
        runs: Runs that are killed.

    Returns:
        Kills that met a living process.
    """
    prepare(folder, FILES, events)
    nursery = Nursery(kind, folder)
    nursery.run("straight")
    rng = random.Random(f"{kind} {events}")
    # Together they begin fewer batches than the run has, so that there is always something left to kill.
    longest = FILES * events // (kills + 1)
    done = index = 0
    # On a machine that starves the killer a run may end unharmed, and then counts for nothing.
    while done < runs * (kills - 1) and index < 3 * runs:
        done += nursery.run_killed(f"killed_{index}", [(rng.randint(0, longest), rng.random()) for _ in range(kills)])
        assert_equal_runs(folder, "straight", f"killed_{index}", batches=FILES * events)
        index += 1
    return done


SHORT_KILLS = {"mae": 8, "inpainter": 8, "regressor": 9}


@pytest.mark.parametrize("kind", KINDS)
def test_kills_at_random_instants_change_nothing(tmp_path: Path, kind: str) -> None:
    """25 in all."""
    assert prove(tmp_path, kind, events=12, kills=SHORT_KILLS[kind]) >= SHORT_KILLS[kind] - 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_kills_at_random_instants_change_nothing(tmp_path: Path, kind: str) -> None:
    """167 kills of each kind: 501 in all, five or six in each run."""
    assert prove(tmp_path, kind, events=12, kills=6, runs=34) >= 167


@pytest.mark.slow
def test_five_kills_in_one_epoch_change_nothing(tmp_path: Path) -> None:
    prepare(tmp_path, FILES, events=24)
    nursery = Nursery("regressor", tmp_path)
    nursery.run("straight")
    # An epoch has sixty batches, and every eighth is saved.
    assert nursery.run_killed("killed", [(9, 0.5)] * 5) == 5
    assert Journal(tmp_path / "artifacts" / "killed").read()[0].step == 1
    assert_equal_runs(tmp_path, "straight", "killed", batches=FILES * 24)
