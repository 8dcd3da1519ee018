"""Trainings of several processes on one machine, joined by gloo."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from lib.training.config import TrainingConfig
from lib.training.protocol import Prepared, StepOutput
from lib.training.trainer import Trainer
from tests.training.toy import ToyBatch, ToyStream, ToyTask, toy_model, weights_of

PATIENCE = 120


class SpoiltLossTask(ToyTask):
    """Loses the loss of some batches, not their gradient: averaging gradients tells no other rank of it."""

    def __init__(self, spoilt: tuple[int, ...]) -> None:
        self._spoilt = spoilt
        self._batch = 0

    def score(self, model: nn.Module, prepared: Prepared[ToyBatch]) -> StepOutput:
        output = super().score(model, prepared)
        if not torch.is_grad_enabled():
            return output
        spoilt = self._batch in self._spoilt
        self._batch += 1
        return replace(output, loss=output.loss + torch.nan) if spoilt else output


def train_rank(rank: int, folder: Path, poisoned: Sequence[tuple[int, ...]], num_batches: int) -> dict[str, Any]:
    """Train one epoch as one of several ranks and return what it came to."""
    model = toy_model()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            # Drawn inside the model for the rows that it is given, so not what a single process draws.
            module.p = 0.0
    guard = {"window": 16, "active_after": 8, "level_shift_steps": 4, "max_skipped_share": 1.0}
    trainer = Trainer[ToyBatch](
        model,
        SpoiltLossTask(poisoned[rank][1::2]),
        train=ToyStream(num_batches, poisoned[rank][::2]),
        validation=ToyStream(1),
        config=TrainingConfig.model_validate({"epochs": 1, "lr": 1e-2, "amp": "none", "guard": guard}),
    )
    metrics = trainer.run_epoch()
    statistics = {name: value.clone() for name, value in trainer.state()["guard"].items() if torch.is_tensor(value)}
    found = {"metrics": metrics, "weights": weights_of(trainer), "guard": statistics}
    return {**found, "steps": trainer.progress.steps_done}


def train_ranks(folder: Path, poisoned: Sequence[tuple[int, ...]], num_batches: int) -> list[dict[str, Any]]:
    """Train with one process for each tuple of poisoned batches and return what each came to."""
    return run_ranks(folder, len(poisoned), train_rank, poisoned, num_batches)


def work_as_rank(rank: int, world: int, folder: Path, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Join the others, do something, and leave what it came to in a file."""
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=world)
    torch.save(work(rank, folder, *arguments), folder / f"rank_{rank}.pt")
    if world > 1:
        dist.destroy_process_group()
    os._exit(0)


def run_ranks(
    folder: Path, world: int, work: Callable[..., Any], *arguments: Any, patience: float = PATIENCE
) -> list[Any]:
    """Do something in several processes joined by gloo and return what each came to.

    Args:
        folder: For their files; an empty one.
        world: How many there are.
        work: A function of a module, called with rank, folder and the arguments.
        arguments: Passed on.
        patience: Seconds after which a process counts as hanging.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    processes = [
        context.Process(target=work_as_rank, args=(rank, world, folder, work, arguments)) for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(patience)
    hanging = [rank for rank, process in enumerate(processes) if process.is_alive()]
    for rank in hanging:
        processes[rank].kill()
    assert hanging == [], f"ranks {hanging} hang"
    assert [process.exitcode for process in processes] == [0] * world
    return [torch.load(folder / f"rank_{rank}.pt") for rank in range(world)]
