"""The measurement of what the guard costs; what it comes to belongs to the benchmarks."""

import pytest
import torch

from lib.training.stability.guard_overhead import GuardOverhead, measure_guard_overhead
from tests.training.toy import ToyStream, toy_model


def test_the_overhead_is_the_guards_share_of_a_step() -> None:
    assert GuardOverhead(guarded=0.003, bare=0.001, step=0.2).percent == pytest.approx(1.0)


def test_every_part_takes_time_and_the_model_is_left_without_gradients() -> None:
    model, batch = toy_model(), next(ToyStream().epoch(0))
    found = measure_guard_overhead(model, lambda: (model(batch.x) - batch.y).square().mean(), repetitions=3, turns=3)
    assert min(found.guarded, found.bare, found.step) > 0
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.isfinite(torch.tensor(found.percent))
