"""Random numbers that depend on the step, not on what happened before it."""

import random

import numpy as np
import torch


def seed_step(seed: int, step: int) -> None:
    """Seed every global generator for one optimizer step.

    Dropout and stochastic depth then depend on (seed, step) alone: a resumed run draws what the uninterrupted run
    drew, and a batch that was skipped changes nothing that comes after it.

    Args:
        seed: Seed of the run.
        step: Optimizer step, counted from 0.
    """
    mixed = int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
    torch.manual_seed(mixed)
    random.seed(mixed)


def seed_initialization(seed: int) -> None:
    """Seed every global generator before a model is built."""
    torch.manual_seed(seed)
    random.seed(seed)
