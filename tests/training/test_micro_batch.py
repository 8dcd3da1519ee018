"""Cutting batches so that nothing but time and memory depends on it."""

import pytest
import torch
from torch import nn

from lib.training.micro_batch import CACHE_BYTES, SMALLEST, MicroBatching, join_outputs, widest_layer_bytes
from lib.training.protocol import StepOutput

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_events", [1, 7, 16, 61, 64])
@pytest.mark.parametrize("limit", [1, 5, 16, 100])
def test_parts_cover_every_event_once_and_are_alike(num_events: int, limit: int) -> None:
    ranges = MicroBatching(limit, CPU).ranges(num_events)
    assert [row for first, last in ranges for row in range(first, last)] == list(range(num_events))
    lengths = [last - first for first, last in ranges]
    assert max(lengths) <= limit
    assert max(lengths) - min(lengths) <= 1


def test_a_gpu_takes_whole_batches_and_a_cpu_what_stays_in_the_cache() -> None:
    assert MicroBatching("auto", torch.device("cuda")).ranges(5000) == [(0, 5000)]
    batching = MicroBatching("auto", CPU)
    assert batching.is_open
    batching.fit_cache(CACHE_BYTES // 20)
    assert batching.limit == 20
    assert not batching.is_open
    batching.fit_cache(CACHE_BYTES)
    assert batching.limit == SMALLEST


def test_halving_ends_at_one_event() -> None:
    batching = MicroBatching(8, CPU)
    sizes = [batching.size(5)]
    while batching.halve(5):
        sizes.append(batching.size(5))
    assert sizes == [5, 3, 2, 1]


def test_the_widest_layer_is_found_and_no_hook_stays() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 50), nn.Linear(50, 1))
    assert widest_layer_bytes(model, lambda: model(torch.zeros(1, 2))) == 200
    assert all(not module._forward_hooks for module in model.modules())


def test_joined_outputs_are_those_of_the_whole() -> None:
    parts = [
        StepOutput(torch.tensor(0.25), {"loss": (torch.tensor(1.0), torch.tensor(2.0))}, {"y": torch.zeros(2, 3)}),
        StepOutput(torch.tensor(0.5), {"loss": (torch.tensor(4.0), torch.tensor(1.0))}, {"y": torch.ones(1, 3)}),
    ]
    joined = join_outputs(parts)
    assert joined.loss == 0.75
    assert joined.sums["loss"] == (5.0, 3.0)
    assert joined.outputs["y"].sum(dim=1).tolist() == [0, 0, 3]
