"""Gradients of several ranks: their sum, and what becomes of it when one of them fails."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib.training.ranks.gradient_sync import GradientSync
from lib.training.trainer import Trainer
from tests.training.started_ranks import run_ranks
from tests.training.toy import ToyBatch, ToyStream, toy_trainer, weights_of


class FailingLayer(nn.Module):
    """Runs out of memory at planned calls: in the forward pass, or half way through the backward pass."""

    def __init__(self, inner: nn.Module, plan: dict[int, str]) -> None:
        super().__init__()
        self.inner = inner
        self._plan = dict(plan)
        self._calls = 0

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        if not self.training:
            return y
        place = self._plan.pop(self._calls, "")
        self._calls += 1
        if place == "forward":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if place == "backward":
            y.register_hook(_fail)
        return y


def _fail(_gradient: Tensor) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def trainer_that_fails(plan: dict[int, str]) -> Trainer[ToyBatch]:
    trainer = toy_trainer(ToyStream(12), grad_accum_steps=2, auto_batch=True, micro_batch=16)
    # Dropout draws differently for differently cut batches.
    trainer.model[2].p = 0.0
    # The last layer has sent its gradients when this one fails.
    trainer.model[1] = FailingLayer(trainer.model[1], plan)
    return trainer


def train_with_failures(rank: int, _folder: Path, plans: list[dict[int, str]]) -> dict[str, Any]:
    trainer = trainer_that_fails(plans[rank])
    trainer.run_epoch()
    return {"weights": weights_of(trainer), "size": trainer._runner.micro_batching.size(16)}


@pytest.mark.parametrize(
    ("world", "trial"), [(2, 0), *(pytest.param(4, trial, marks=pytest.mark.slow) for trial in range(5))]
)
def test_a_rank_that_runs_out_of_memory_anywhere_leaves_none_waiting(tmp_path: Path, world: int, trial: int) -> None:
    draw = random.Random(100 * world + trial)
    plans: list[dict[int, str]] = [{} for _ in range(world)]
    # The first step too, and both micro-batches: the one that sums and the one that does not.
    for call, place in ((0, "forward"), (3, "backward"), (9, draw.choice(["forward", "backward"]))):
        plans[draw.randrange(world)][call + draw.randrange(2)] = place
    found = run_ranks(tmp_path, world, train_with_failures, plans)
    alone = trainer_that_fails({})
    alone.run_epoch()
    for one in found:
        assert one["size"] < 16
        for name, value in weights_of(alone).items():
            # Adam divides by the root of its moments, which magnifies rounding where gradients are small.
            torch.testing.assert_close(one["weights"][name], value, rtol=1e-4, atol=1e-6)
            assert one["weights"][name].equal(found[0]["weights"][name])


class Branches(nn.Module):
    """Three numbers of which a forward pass uses those that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.ParameterList(nn.Parameter(torch.ones(())) for _ in range(3))

    def forward(self, used: list[int]) -> Tensor:
        return torch.stack([self.factors[index] for index in used]).sum()


def sum_of_used(rank: int, _folder: Path) -> list[float | None]:
    model = Branches()
    sync = GradientSync(model)
    # Of two micro-batches the first uses one on this rank alone.
    for _ in range(3):
        model.zero_grad()
        sync.begin()
        for number, used in enumerate([[rank], [0]]):
            is_last = number == 1
            with sync.part(is_last=is_last):
                (sync.forward(lambda used=used: model(used), is_last=is_last) * sync.scale).backward()
        assert sync.agree(0) == 0
    return [None if one.grad is None else float(one.grad) for one in model.factors]


def sums_while_thawing(rank: int, _folder: Path) -> list[list[float | None]]:
    model = Branches()
    sync, found = GradientSync(model), []
    for frozen in ([0, 2], [2], [], [0]):
        for index, factor in enumerate(model.factors):
            factor.requires_grad_(index not in frozen)
        model.zero_grad()
        sync.begin()
        (sync.forward(lambda: model([0, 1]), is_last=True) * sync.scale * (1.0 + rank)).backward()
        assert sync.agree(0) == 0
        found.append([None if one.grad is None else float(one.grad) for one in model.factors])
    return found


def test_what_thaws_joins_the_sum_and_what_is_frozen_has_no_part_in_it(tmp_path: Path) -> None:
    expected = [[None, 3.0, None], [3.0, 3.0, None], [3.0, 3.0, None], [None, 3.0, None]]
    assert run_ranks(tmp_path, 2, sums_while_thawing) == [expected] * 2


def test_gradients_are_summed_and_a_parameter_that_no_rank_uses_has_none(tmp_path: Path) -> None:
    assert run_ranks(tmp_path, 2, sum_of_used) == [[3.0, 1.0, None]] * 2
