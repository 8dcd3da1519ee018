"""Measures what the guard costs, in processor time, against the step that it guards."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn

from lib.training.guard import Guard
from lib.training.stability.guard_config import GuardConfig


@dataclass(frozen=True)
class GuardOverhead:
    """Medians of processor seconds per step.

    Attributes:
        guarded: Judging a step with everything on: the bare price and the median of what the same step costs more.
        bare: Judging it with guard.enabled false: a finite check and grad_clip.
        step: Forward and backward pass of the same model.
    """

    guarded: float
    bare: float
    step: float

    @property
    def percent(self) -> float:
        """What the guard adds to a step, in percent."""
        return 100.0 * (self.guarded - self.bare) / self.step


def measure_guard_overhead(
    model: nn.Module, score: Callable[[], torch.Tensor], *, repetitions: int = 30, turns: int = 20
) -> GuardOverhead:
    """Return what judging steps costs with and without the guard, measured in turns in one process.

    Processor time is counted instead of time on the clock, so that other work on the machine matters little.

    Args:
        model: What is trained, on the CPU.
        score: Runs the model on a batch and returns its loss.
        repetitions: Steps of which the medians are taken.
        turns: Judgements of each kind per step; one alone is too short to be timed.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = parameters[0].device
    guards = [
        Guard(GuardConfig(enabled=enabled), None, device, num_tensors=len(parameters)) for enabled in (True, False)
    ]
    steps: list[float] = []
    costs: list[list[float]] = [[], []]
    for _ in range(repetitions):
        begin = time.process_time()
        loss = score()
        loss.backward()
        steps.append(time.process_time() - begin)
        for guard, spent in zip(guards, costs, strict=True):
            begin = time.process_time()
            for _ in range(turns):
                guard.see_loss(loss)
                guard.judge(parameters)
            guard.drain()
            spent.append((time.process_time() - begin) / turns)
        model.zero_grad(set_to_none=True)
    # Neighbours in time are compared: what slows the machine down for a while slows both.
    added = median(guarded - bare for guarded, bare in zip(*costs, strict=True))
    return GuardOverhead(median(costs[1]) + added, median(costs[1]), median(steps))
