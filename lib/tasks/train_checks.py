"""All checks of a training that is about to start."""

from collections.abc import Iterator

import torch

from lib.tasks.gradient_checks import gradient_checks
from lib.tasks.input_checks import input_checks
from lib.tasks.learning_checks import learning_checks
from lib.tasks.trial import Trial, Verdict
from lib.tasks.wiring_checks import wiring_checks


def train_checks(trial: Trial) -> Iterator[Verdict]:
    """Yield one verdict after the other, the quick ones first."""
    for check in (input_checks, wiring_checks, gradient_checks, learning_checks):
        torch.manual_seed(0)
        yield from check(trial)
