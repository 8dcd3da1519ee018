"""A run that is killed at any instant and started again ends bit for bit like one that was not."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.cli.entry import EXIT_REQUEUE
from lib.training.epoch_sums import CLOCK_METRICS
from lib.training.records.journal import JOURNAL_NAME, Journal
from lib.training.records.mlflow_store import MlflowStore
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.supervision.signals import STOPPING
from tests.cli.killed_run import KINDS, LOSSES, Nursery, losses_of, prepare

pytestmark = [pytest.mark.kill, pytest.mark.filterwarnings("ignore")]

FILES = 5


def bits(value: Any) -> Any:
    """Anything that a checkpoint holds, with tensors as their bytes."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {name: bits(entry) for name, entry in value.items() if name not in {"seconds", "waiting"}}
    return [bits(entry) for entry in value] if isinstance(value, list) else value


def state_of(path: Path) -> dict[str, Any]:
    checkpoint = vars(Checkpoint.load(path))
    metrics = {name: value for name, value in checkpoint["metrics"].items() if name not in CLOCK_METRICS}
    left_out = {"run_key", "config", "about", "metrics"}
    return {"metrics": metrics} | {name: bits(value) for name, value in checkpoint.items() if name not in left_out}


def told(folder: Path) -> list[tuple[int, dict[str, str]]]:
    return [
        (record.step, {name: v.hex() for name, v in record.metrics.items() if name not in CLOCK_METRICS})
        for record in Journal(folder).read()
    ]


def assert_store_equals_journal(folder: Path, name: str) -> None:
    store = MlflowStore(f"sqlite:///{folder / 'mlruns.db'}", "xec")
    client = store.client
    experiment = client.get_experiment_by_name("xec")
    (run,) = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    in_store = sorted(
        (metric, point.step, point.value)
        for metric in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, metric)
    )
    in_journal = sorted(
        (metric, record.step, value)
        for record in Journal(folder / "artifacts" / name).read()
        for metric, value in record.metrics.items()
    )
    assert in_store == in_journal
    assert run.info.status == "FINISHED"


def assert_equal_runs(folder: Path, straight: str, killed: str, batches: int) -> None:
    first, second = folder / "artifacts" / straight, folder / "artifacts" / killed
    expected, seen = losses_of(folder, straight), losses_of(folder, killed)
    assert len(expected) == batches
    # The same events in the same batches at the same steps, and each repetition with the very same loss.
    assert seen == expected
    # They are first seen in the order of the uninterrupted run.
    assert list(seen) == list(expected)
    for name in (LAST_NAME, BEST_NAME):
        one, other = state_of(first / name), state_of(second / name)
        assert [part for part in one if one[part] != other[part]] == []
    assert told(first) == told(second)
    assert len((second / JOURNAL_NAME).read_text().splitlines()) == 2
    assert_store_equals_journal(folder, killed)
    assert not list(second.glob(".*.partial*"))


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


def prove_signals(folder: Path, signals: int, runs: int) -> list[int | None]:
    """Like ``prove``, with signals that ask instead of kill; return the exit codes of the asked processes."""
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
