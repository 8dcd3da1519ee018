"""A training may go on for as long as it likes: memory, files and threads stay as they are."""

import functools
import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import scipy.stats
import torch

from lib.training.trainer import Trainer
from tests.cli.killed_run import KINDS, Nursery, prepare

pytestmark = [pytest.mark.kill, pytest.mark.filterwarnings("ignore")]

USAGE = "usage.json"
# Two steps make an epoch; after ten epochs there are as many states to go back to as there ever will be.
SETTINGS = {"keep_every": 10, "min_age": 10, "pass_over": 0}
SHARED = Path("/dev/shm")


def note_usage(folder: Path) -> None:
    """Arrange that a training writes down what it holds after each epoch, as one JSON list a line."""
    process, run_epoch = psutil.Process(), Trainer.run_epoch

    def noted(self: Trainer[Any], *arguments: Any) -> dict[str, float]:
        metrics = run_epoch(self, *arguments)
        # Other programs of the machine come and go there as well.
        own = sum(path.name.startswith("torch_") and f"_{process.pid}_" in path.name for path in SHARED.iterdir())
        held = [process.memory_info().rss / 1000, tensor_kilobytes(), process.num_fds(), process.num_threads(), own]
        with (folder / USAGE).open("a") as file:
            file.write(json.dumps(held) + "\n")
        return metrics

    Trainer.run_epoch = noted  # type: ignore[method-assign]


def tensor_kilobytes() -> float:
    """Return the memory of all tensors that somebody holds."""
    gc.collect()
    held = [thing.untyped_storage() for thing in gc.get_objects() if type(thing) in {torch.Tensor, torch.nn.Parameter}]
    return sum({storage.data_ptr(): storage.nbytes() for storage in held}.values()) / 1000


def usage_of(folder: Path, kind: str, epochs: int) -> list[list[float]]:
    """Train; return kilobytes of the process and of tensors, open files, threads and shared segments by epoch."""
    prepare(folder, files=1, events=8)
    settings = [f"training.guard.rollback.{name}={value}" for name, value in SETTINGS.items()]
    arguments = [part for setting in (f"training.epochs={epochs}", *settings) for part in ("--set", setting)]
    process = Nursery(kind, folder).start("run", arguments, functools.partial(note_usage, folder))
    process.join(3000)
    assert process.exitcode == 0, (folder / "run.log").read_text()
    held = [json.loads(line) for line in (folder / USAGE).read_text().splitlines()]
    assert len(held) == epochs
    return held


def slope(kilobytes: Sequence[float]) -> float:
    """Return the growth per epoch: the median of the slopes of all pairs, which single jumps do not move."""
    return float(scipy.stats.theilslopes(kilobytes, range(len(kilobytes))).slope)


def prove(folder: Path, kind: str, epochs: int, warm_up: int) -> tuple[float, float]:
    """Return the kilobytes by which process and tensors grow with each epoch; files, threads and segments must not."""
    held = usage_of(folder, kind, epochs)[warm_up:]
    process, tensors, files, threads, shared = zip(*held, strict=True)
    for name, counts in (("files", files), ("threads", threads), ("shared", shared)):
        # A checkpoint that is being written and a record on its way to MLflow have a few open for a moment, which
        # tilts the line through a few epochs; one that is left open each epoch would make the slope 1.
        assert abs(slope(counts)) < (0.01 if epochs >= 200 else 0.2), (name, counts)
        assert max(counts[-10:]) <= max(counts[:10]) + 2, (name, counts)
    return slope(process), slope(tensors)


def test_no_tensor_is_kept_from_any_epoch(tmp_path: Path) -> None:
    """One batch that is not let go of each epoch would be 150 kB; a process as young as this still loads libraries."""
    assert abs(prove(tmp_path, "regressor", epochs=28, warm_up=12)[1]) < 10.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_flat_over_two_hundred_epochs(tmp_path: Path, kind: str) -> None:
    process, tensors = prove(tmp_path, kind, epochs=220, warm_up=20)
    print(f"{kind}: {process:.1f} kB/epoch")  # noqa: T201 - stands in the report of the long suites
    assert process < 10.0
    assert tensors < 1.0
