"""The learning rate as a pure function of the step: nothing to save, nothing to get wrong on resume."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a half cosine or a constant.

    Attributes:
        kind: Course after warm-up.
        peak: Largest learning rate.
        floor: Learning rate at the end of the cosine.
        warmup_steps: Steps of the linear rise.
        total_steps: Steps of the whole training.
        first_step: Step at which the course begins.
    """

    kind: Literal["cosine", "none"]
    peak: float
    floor: float
    warmup_steps: int
    total_steps: int
    first_step: int = 0

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of one optimizer step, counted from 0."""
        step -= self.first_step
        total_steps = self.total_steps - self.first_step
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        if self.kind == "none":
            return self.peak
        remaining = max(1, total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / remaining)
        return self.floor + 0.5 * (self.peak - self.floor) * (1.0 + math.cos(math.pi * progress))
