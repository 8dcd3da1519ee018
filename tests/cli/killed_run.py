"""Trainings in processes that can be killed; started from a server that has the libraries imported already."""

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch
import yaml

from lib.cli.entry import run_command
from lib.training.batch_runner import BatchRunner
from lib.training.trainer import Trainer
from tests.data.root_files import make_events, write_root

LOSSES = "losses.txt"
MODEL = {
    "stage_dims": [4],
    "stage_depths": [1],
    "inner_patch": 4,
    "encoder_dim": 8,
    "num_heads": 2,
    "dim_feedforward": 8,
    "num_fusion_layers": 2,
    "drop_path_rate": 0.2,
}
KINDS: dict[str, dict[str, Any]] = {
    "mae": {"model": {**MODEL, "decoder_dim": 4}},
    "inpainter": {"model": {**MODEL, "hidden_dim": 4, "head_depth": 1}},
    "regressor": {
        "model": {**MODEL, "hidden_dim": 4},
        "tasks": {"energy": {}, "uvwFI": {}},
        "training": {"channel_dropout_rate": 0.1},
    },
}
TRAINING = {"epochs": 2, "lr": 1e-3, "warmup_epochs": 0.5, "grad_accum_steps": 2, "amp": "none"}


def prepare(folder: Path, files: int, events: int) -> None:
    """Write the files and the configuration of each kind; two batches of two events make a step."""
    (folder / "train").mkdir()
    for index in range(files):
        write_root(folder / "train" / f"{index}.root", make_events(events, first_event=1000 * index))
    write_root(folder / "val.root", make_events(4, first_event=90_000))
    data = {"train_path": "train", "val_path": "val.root", "batch_size": 2, "chunksize": 16, "num_threads": 1}
    for kind, sections in KINDS.items():
        training = {**TRAINING, **sections.get("training", {}), "guard": {"window": 16, "active_after": 8}}
        checkpoint = {"resume_from": "auto", "save_steps": 4, "save_artifacts": False}
        config = {"kind": kind, "data": data, **sections, "training": training, "checkpoint": checkpoint}
        (folder / f"{kind}.yaml").write_text(yaml.safe_dump(config))


def train(
    kind: str, folder: Path, name: str, arguments: Sequence[str] = (), arrange: Callable[[], None] | None = None
) -> None:
    """Run one training and end the process with its exit code; the loss of every batch is appended to a file.

    Args:
        kind: What is trained.
        folder: With the files and configurations of ``prepare``.
        name: Of the run.
        arguments: Further ones of the command.
        arrange: Is called in the process before the training begins; what is to happen to it.
    """
    os.chdir(folder)
    descriptor = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, sys.stderr.fileno())
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    _note_losses(os.open(folder / f"{name}.{LOSSES}", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    if arrange is not None:
        arrange()
    command = import_module(f"lib.train_{kind}").main
    os._exit(run_command(command, ["--config", f"{kind}.yaml", "--set", f"mlflow.run_name={name}", *arguments]))


def _note_losses(descriptor: int) -> None:
    """Append step, learning rate, batch, its events and its loss for every training batch."""
    step, backward, place = Trainer._step, BatchRunner._backward, [""]

    def stepping(self: Trainer[Any], *arguments: Any) -> None:
        place[0] = f"{self.progress.steps_done} {float(self.optimizer.param_groups[0]['lr']).hex()}"
        step(self, *arguments)

    def noted(self: BatchRunner[Any], batch: Any, share: float, **named: Any) -> Any:
        output = backward(self, batch, share, **named)
        events = ",".join(str(int(event)) for event in batch.event)
        # One write for one line: a kill leaves it whole or not there.
        os.write(descriptor, f"{place[0]} {batch.seed} {events} {float(output.loss).hex()}\n".encode())
        return output

    Trainer._step = stepping  # type: ignore[method-assign]
    BatchRunner._backward = noted  # type: ignore[method-assign]


class Nursery:
    """Starts trainings of one kind in one folder.

    Attributes:
        context: Makes processes that have the libraries imported.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self.context = multiprocessing.get_context("forkserver")
        # Imported once, what torch puts off until its first optimizer too: starting a process then costs a fork.
        late = ["torch._dynamo", "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store"]
        self.context.set_forkserver_preload([__name__, f"lib.train_{kind}", "lib.cli.training_run", *late])
        # The server itself takes seconds to start, which belong to no training.
        first = self.context.Process(target=os.getpid)
        first.start()
        first.join(120)
        self._start_seconds = 0.0

    def start(
        self, name: str, arguments: Sequence[str] = (), arrange: Callable[[], None] | None = None
    ) -> ForkServerProcess:
        """Start a training and return its process; see ``train``."""
        process = self.context.Process(target=train, args=(self._kind, self._folder, name, arguments, arrange))
        process.start()
        return process

    def run(self, name: str) -> None:
        """Run a training to its end."""
        begin = time.monotonic()
        process = self.start(name)
        while not self._start_seconds and process.is_alive():
            if self.batches_seen(name):
                self._start_seconds = time.monotonic() - begin
            time.sleep(0.002)
        process.join(240)
        assert process.exitcode == 0, (self._folder / f"{name}.log").read_text()

    def run_killed(self, name: str, kills: Sequence[tuple[int, float]]) -> int:
        """Start a training again and again, kill it each time, and let the last one end.

        Args:
            name: Of the run.
            kills: Batches that each process may begin before it is killed, and after how large a part of the time that
                it took for the last of them (for its start, if none): uniform in time, on a busy machine too.

        Returns:
            How many of them were killed; the others had ended before.
        """
        done = 0
        for batches, part in kills:
            wanted = self.batches_seen(name) + batches
            process, before, now = self.start(name), time.monotonic(), time.monotonic()
            seen = self.batches_seen(name)
            while process.is_alive() and seen < wanted:
                time.sleep(0.002)
                if (count := self.batches_seen(name)) > seen:
                    seen, before, now = count, now, time.monotonic()
            process.join(part * (now - before if batches else self._start_seconds))
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                done += 1
            process.join(60)
        self.run(name)
        return done

    def run_asked(self, name: str, batches: Sequence[int], numbers: Sequence[int]) -> list[int | None]:
        """Start a training again and again, send each signal once so many batches were seen, and let the last one end.

        Each process begins one batch at least: before that there is nothing to save, and it may not listen yet.

        Returns:
            Exit codes of all but the last process.
        """
        codes = []
        for count, number in zip(batches, numbers, strict=True):
            wanted = max(count, self.batches_seen(name) + 1)
            process = self.start(name)
            while process.is_alive() and self.batches_seen(name) < wanted:
                time.sleep(0.002)
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)
            process.join(60)
            codes.append(process.exitcode)
        self.run(name)
        return codes

    def batches_seen(self, name: str) -> int:
        """Return how many batches the processes of a run began."""
        path = self._folder / f"{name}.{LOSSES}"
        return path.read_bytes().count(b"\n") if path.exists() else 0


def losses_of(folder: Path, name: str) -> dict[str, set[str]]:
    """Return the losses that were seen at each (step, batch seed, events); one each if all is well."""
    seen: dict[str, set[str]] = {}
    for line in (folder / f"{name}.{LOSSES}").read_text().splitlines():
        key, loss = line.rsplit(" ", 1)
        seen.setdefault(key, set()).add(loss)
    return seen
