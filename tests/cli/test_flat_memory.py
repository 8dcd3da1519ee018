"""A training may go on for as long as it likes: memory, files and threads stay as they are."""

import functools
import json
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import scipy.stats
import torch
import yaml

from lib.training.trainer import Trainer
from tests.cli.killed_run import Nursery, prepare

pytestmark = [pytest.mark.kill, pytest.mark.filterwarnings("ignore")]

USAGE = "usage.json"


def noting_usage(folder: Path) -> None:
    """Arrange that a training writes down what it holds after each epoch: one JSON object a line."""
    process, epoch = psutil.Process(), Trainer.run_epoch

    def noted(self: Trainer[Any], *arguments: Any) -> dict[str, float]:
        metrics = epoch(self, *arguments)
        held = {
            "kilobytes": process.memory_info().rss / 1000,
            "files": process.num_fds(),
            "threads": process.num_threads(),
            "shared": len(os.listdir("/dev/shm")),
        }
        with (folder / USAGE).open("a") as file:
            file.write(json.dumps(held) + "\n")
        return metrics

    Trainer.run_epoch = noted  # type: ignore[method-assign]


def usage_of(folder: Path, kind: str, epochs: int) -> list[dict[str, float]]:
    """Train and return what the process held after each epoch."""
    prepare(folder, files=1, events=8)
    arguments = ["--set", f"training.epochs={epochs}", "--set", "training.guard.rollback.keep_every=10"]
    process = Nursery(kind, folder).start("run", arguments, functools.partial(noting_usage, folder))
    process.join(3000)
    assert process.exitcode == 0, (folder / "run.log").read_text()
    held = [json.loads(line) for line in (folder / USAGE).read_text().splitlines()]
    assert len(held) == epochs
    return held
