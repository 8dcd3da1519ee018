"""Random numbers of a step."""

import random

import pytest
import torch

from lib.training.random_state import seed_initialization, seed_step


def draws() -> tuple[float, float]:
    return float(torch.rand(())), random.random()


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    seed_step(3, 17)
    first = draws()
    torch.rand(1000)
    random.random()
    seed_step(3, 17)
    assert draws() == first


def test_neighbouring_seeds_and_steps_draw_differently() -> None:
    seen = set()
    for seed in range(4):
        for step in range(50):
            seed_step(seed, step)
            seen.add(draws())
    # A sum of seed and step would give 53 of 200.
    assert len(seen) == 200


def test_the_largest_seed_and_late_steps_are_accepted() -> None:
    seed_step(2**31 - 1, 10**9)
    assert 0.0 <= draws()[0] < 1.0


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_initialization_is_repeated_by_its_seed(seed: int) -> None:
    seed_initialization(seed)
    first = draws()
    seed_initialization(seed)
    assert draws() == first
