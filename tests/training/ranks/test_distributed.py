"""What several ranks decide, they decide alike."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.training.ranks.distributed import rank, sum_over_ranks, world_size
from tests.training.started_ranks import run_ranks, train_rank, train_ranks

STEPS = 100


def test_a_single_process_agrees_with_itself() -> None:
    values = torch.tensor([1.0, 2.0])
    assert sum_over_ranks(values) is values
    assert (rank(), world_size()) == (0, 1)


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_batch_that_is_bad_on_one_rank_is_skipped_on_all(tmp_path: Path, world: int) -> None:
    draw = random.Random(world)
    # A tenth of the steps is bad, each on ranks drawn at random, and one on each rank alone.
    bad_steps = {step: draw.sample(range(world), draw.randint(1, world)) for step in draw.sample(range(50, STEPS), 10)}
    for number in range(world):
        bad_steps |= {5 * number + offset: [number] for offset in (10, 12)}
    poisoned = [tuple(step for step, ranks in bad_steps.items() if number in ranks) for number in range(world)]
    found = train_ranks(tmp_path, poisoned, STEPS)
    for one in found:
        assert one["steps"] == STEPS
        assert one["metrics"]["nonfinite_steps"] == one["metrics"]["skipped_steps"] == len(bad_steps)
        for part in ("weights", "guard"):
            for name, value in found[0][part].items():
                torch.testing.assert_close(one[part][name], value, rtol=0, atol=0, equal_nan=True)
    assert all(value.isfinite().all() for value in found[0]["weights"].values())


def random_pattern(seed: int, world: int) -> list[tuple[int, ...]]:
    """Return the bad batches of each rank: some steps are bad on some ranks, at least one on one."""
    draw = random.Random(seed)
    bad = {
        step: draw.sample(range(world), draw.randint(1, world)) for step in draw.sample(range(16), draw.randint(1, 5))
    }
    return [tuple(sorted(step for step, ranks in bad.items() if number in ranks)) for number in range(world)]


def train_through_patterns(rank: int, folder: Path, world: int, patterns: int) -> list[dict[str, Any]]:
    return [train_rank(rank, folder, random_pattern(seed, world), 16) for seed in range(patterns)]


@pytest.mark.parametrize(
    ("world", "patterns"), [(2, 5), *(pytest.param(world, 100, marks=pytest.mark.slow) for world in (2, 4))]
)
def test_a_random_pattern_of_bad_batches_leaves_all_ranks_alike_and_none_waiting(
    tmp_path: Path, world: int, patterns: int
) -> None:
    first, *others = run_ranks(tmp_path, world, train_through_patterns, world, patterns, patience=120 + 10 * patterns)
    for seed, one in enumerate(first):
        bad_steps = {step for steps in random_pattern(seed, world) for step in steps}
        assert one["metrics"]["nonfinite_steps"] == one["metrics"]["skipped_steps"] == len(bad_steps)
        assert all(value.isfinite().all() for value in one["weights"].values())
        for other in others:
            assert other[seed]["steps"] == one["steps"] == 16
            for name, value in one["weights"].items():
                assert torch.equal(other[seed]["weights"][name], value)


def test_two_ranks_learn_what_one_process_learns_from_the_same_batches(tmp_path: Path) -> None:
    found = []
    for world in (1, 2):
        folder = tmp_path / str(world)
        folder.mkdir()
        found += train_ranks(folder, [()] * world, 50)
    one, *ranks = found
    for other in ranks:
        for name, value in one["weights"].items():
            # Sums of float32 in another order.
            torch.testing.assert_close(other["weights"][name], value, rtol=1e-5, atol=1e-7)
        for name in ("train/loss", "val/loss", "actual_share", "grad_norm_max"):
            assert other["metrics"][name] == pytest.approx(one["metrics"][name], rel=1e-6), name
    assert ranks[0]["metrics"]["train/loss"] == ranks[1]["metrics"]["train/loss"]
