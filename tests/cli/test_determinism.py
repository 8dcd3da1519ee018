"""The same seed gives the same bits, whatever else is different about the machine and the hour."""

import functools
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lib.training.records import recorder
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME
from tests.cli.equal_runs import FILES, state_of, told
from tests.cli.killed_run import LOSSES, prepare, train
from tests.training.records.test_recorder import SilentTracker

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT_FOLDER = Path(__file__).parents[2]
EVENTS = 12
# Several would wait for each other in turns, on steps as small as these.
CPU_THREADS = 1


def odd_machine(draw: random.Random) -> None:
    """Arrange what a process cannot be given from outside: clock, order of folders, threads of torch."""
    scan, now, shift = os.scandir, time.time, draw.uniform(-3e8, 3e8)

    class Shuffled:
        def __init__(self, *arguments: Any) -> None:
            with scan(*arguments) as entries:
                found = list(entries)
            draw.shuffle(found)
            self._entries = iter(found)

        def __enter__(self) -> "Shuffled":
            return self

        def __iter__(self) -> Iterator[Any]:
            return self._entries

        def __next__(self) -> Any:
            return next(self._entries)

        def __exit__(self, *exception: object) -> None: ...

        def close(self) -> None: ...

    os.scandir = Shuffled  # type: ignore[assignment,misc]
    time.time = lambda: now() + shift
    torch.set_num_threads(draw.choice([1, 8]))
    recorder.Tracker = SilentTracker  # type: ignore[assignment,misc]


def run_somewhere(source: Path, folder: Path, kind: str, seed: int) -> Path:
    """Train in a fresh process, under circumstances drawn from the seed; return the folder of the run."""
    draw = random.Random(seed)
    (folder / "train").mkdir(parents=True)
    files = sorted((source / "train").iterdir())
    # Many file systems list files as they were made.
    draw.shuffle(files)
    for path in files:
        shutil.copy(path, folder / "train")
    shutil.copy(source / "val.root", folder)
    config = yaml.safe_load((source / f"{kind}.yaml").read_text())
    config["data"] |= {"num_threads": draw.choice([1, 8]), "prefetch_factor": draw.choice([1, 4])}
    config["data"]["train_path"] = draw.choice(["train", "train/*.root", str(folder / "train")])
    config["training"]["cpu_threads"] = CPU_THREADS
    (folder / f"{kind}.yaml").write_text(yaml.safe_dump(config))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT_FOLDER),
        "PYTHONHASHSEED": str(draw.randrange(2**32)),
        "TZ": draw.choice(["UTC", "Asia/Tokyo", "America/New_York", "Europe/Zurich"]),
        "LC_ALL": draw.choice(["C", "C.UTF-8"]),
        "OMP_NUM_THREADS": draw.choice(["1", "8"]),
    }
    command = [sys.executable, "-W", "ignore", "-m", "tests.cli.test_determinism", kind, str(folder), str(seed)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + (folder / "run.log").read_text()
    return folder / "artifacts" / "run"


def assert_same_bits(one: Path, other: Path) -> None:
    """Compare events and loss of every batch, what the journal tells, and all that the checkpoints hold."""
    losses = [(run.parents[1] / f"run.{LOSSES}").read_text() for run in (one, other)]
    assert losses[0].count("\n") == FILES * EVENTS
    assert losses[0] == losses[1]
    assert told(one) == told(other)
    for name in (LAST_NAME, BEST_NAME):
        first, second = state_of(one / name), state_of(other / name)
        assert [part for part in first if first[part] != second[part]] == []


def prove(folder: Path, kind: str, runs: int) -> None:
    """Train under so many different circumstances and compare all with the first."""
    source = folder / "source"
    source.mkdir()
    prepare(source, FILES, EVENTS)
    first = run_somewhere(source, folder / "0", kind, 0)
    for seed in range(1, runs):
        assert_same_bits(first, run_somewhere(source, folder / str(seed), kind, seed))


def test_two_runs_of_one_seed_have_the_same_bits(tmp_path: Path) -> None:
    prove(tmp_path, "regressor", 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mae", "inpainter", "regressor"])
def test_twenty_runs_of_one_seed_have_the_same_bits(tmp_path: Path, kind: str) -> None:
    prove(tmp_path, kind, 21)


if __name__ == "__main__":
    train(sys.argv[1], Path(sys.argv[2]), "run", arrange=functools.partial(odd_machine, random.Random(sys.argv[3])))
