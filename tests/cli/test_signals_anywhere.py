"""Signals at the worst places of a run: inside a save that is under way, inside a validation, and a second one."""

import functools
import os
import pkgutil
import random
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lib.cli.entry import EXIT_REQUEUE
from lib.training.saving.checkpoint import LAST_NAME, Checkpoint
from lib.training.saving.sealed_file import verify_seal
from lib.training.supervision.signals import STOPPING
from tests.cli.equal_runs import FILES, assert_equal_runs
from tests.cli.killed_run import LOSSES, Nursery, prepare

pytestmark = [pytest.mark.kill, pytest.mark.filterwarnings("ignore")]

EVENTS = 12
BATCHES = FILES * EVENTS


class Place(NamedTuple):
    folder: Path
    nursery: Nursery

    def partial_files(self, name: str) -> list[Path]:
        return list((self.folder / "artifacts" / name).glob(".*.partial*"))

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with one run that nothing happened to."""
    folder = tmp_path_factory.mktemp("signalled")
    prepare(folder, FILES, EVENTS)
    nursery = Nursery("regressor", folder)
    nursery.run("straight")
    return Place(folder, nursery)


def before_call(owner_name: str, method: str, call: int, numbers: tuple[int, ...]) -> None:
    """Let signals come when a function of a class or module, given by its full name, is called for the n-th time."""
    owner = pkgutil.resolve_name(owner_name)
    original, calls = getattr(owner, method), [0]

    @functools.wraps(original)
    def signalled(*arguments: Any, **keywords: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            for number in numbers:
                os.kill(os.getpid(), number)
                # Time for the main thread to hear the first before the second is there.
                time.sleep(0.2)
        return original(*arguments, **keywords)

    setattr(owner, method, signalled)


# In the thread that saves: before it writes, and when all is written but not yet under its name.
SAVES = {
    "before the file": ("lib.training.saving.checkpoint.Checkpoint", "save"),
    "before the name": ("lib.training.saving.sealed_file", "_read_back"),
}
VALIDATION = "lib.training.batch_runner.BatchRunner"


@pytest.mark.parametrize("where", [pytest.param("before the file", marks=pytest.mark.slow), "before the name"])
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)])
def test_a_signal_during_a_save_lets_it_end_and_saves_once_more(place: Place, where: str, number: int) -> None:
    name = f"saving_{where.rsplit(maxsplit=1)[-1]}_{int(number)}"
    process = place.nursery.start(name, arrange=functools.partial(before_call, *SAVES[where], 2, (number,)))
    process.join(240)
    assert process.exitcode == EXIT_REQUEUE, place.log(name)
    assert place.partial_files(name) == []
    place.nursery.run(name)
    assert_equal_runs(place.folder, "straight", name, BATCHES)
    # Saved where it stood: no batch is repeated.
    assert (place.folder / f"{name}.{LOSSES}").read_text().count("\n") == BATCHES


@pytest.mark.parametrize("call", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_signal_during_a_validation_saves_and_the_epoch_is_validated_again(place: Place, call: int) -> None:
    name = f"validating_{call}"
    arrange = functools.partial(before_call, VALIDATION, "evaluate", call, (signal.SIGINT,))
    process = place.nursery.start(name, arrange=arrange)
    process.join(240)
    assert process.exitcode == EXIT_REQUEUE, place.log(name)
    assert Checkpoint.load(place.folder / "artifacts" / name / LAST_NAME).epochs_done == 0
    place.nursery.run(name)
    assert_equal_runs(place.folder, "straight", name, BATCHES)


def test_a_second_signal_ends_a_save_at_once_and_the_older_checkpoint_is_good(place: Place) -> None:
    name = "twice"
    arrange = functools.partial(before_call, *SAVES["before the name"], 2, (signal.SIGTERM, signal.SIGINT))
    process = place.nursery.start(name, arrange=arrange)
    process.join(240)
    assert process.exitcode == -signal.SIGINT, place.log(name)
    last = place.folder / "artifacts" / name / LAST_NAME
    verify_seal(last)
    assert Checkpoint.load(last).steps_done == 4
    assert len(place.partial_files(name)) == 1
    place.nursery.run(name)
    assert_equal_runs(place.folder, "straight", name, BATCHES)


def prove_pairs(place: Place, name: str, pairs: int, rng: random.Random) -> list[int | None]:
    """Send pairs of signals at random instants, resume each time, compare; return the exit codes."""
    codes: list[int | None] = []
    for count in sorted(rng.sample(range(1, 4 * BATCHES // 5), pairs)):
        process = place.nursery.start(name)
        while process.is_alive() and place.nursery.batches_seen(name) < count:
            time.sleep(0.002)
        for number in rng.choices(STOPPING, k=2):
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)
            time.sleep(0.05 * rng.random() ** 3)
        process.join(60)
        codes.append(process.exitcode)
    place.nursery.run(name)
    assert_equal_runs(place.folder, "straight", name, BATCHES)
    return codes


# A second one finds the process on its way out, or ends it.
PAIR_CODES = {EXIT_REQUEUE, *(-number for number in STOPPING)}


def test_pairs_of_signals_at_random_instants_change_nothing(place: Place) -> None:
    assert set(prove_pairs(place, "pairs", 2, random.Random(1))) <= PAIR_CODES


@pytest.mark.slow
def test_a_hundred_pairs_of_signals_at_random_instants_change_nothing(place: Place) -> None:
    codes = [code for run in range(25) for code in prove_pairs(place, f"pairs_{run}", 4, random.Random(100 + run))]
    assert set(codes) <= PAIR_CODES
    assert sum(code != EXIT_REQUEUE for code in codes) >= 10
