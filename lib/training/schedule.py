"""The learning rate as a pure function of the step: nothing to save, nothing to get wrong on resume."""

import math
from dataclasses import dataclass
from typing import Final, Literal

ONECYCLE_DIVISOR: Final = 25.0
"""Peak over first learning rate of one cycle, as in arXiv:1708.07120 and its common implementations."""


@dataclass(frozen=True)
class Schedule:
    """A rise, then a half cosine or a constant; what a plateau takes off is no function of the step alone.

    Attributes:
        kind: Course after warm-up.
        peak: Largest learning rate.
        floor: Learning rate at the end of the cosine.
        warmup_steps: Steps of the rise: linear from 0, for onecycle a half cosine from a 25th of the peak.
        total_steps: Steps of the whole training.
        first_step: Step at which the course begins.
    """

    kind: Literal["cosine", "onecycle", "plateau", "none"]
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
            return self._rise((step + 1) / self.warmup_steps)
        if self.kind in {"none", "plateau"}:
            return self.peak
        remaining = max(1, total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / remaining)
        return self.floor + 0.5 * (self.peak - self.floor) * (1.0 + math.cos(math.pi * progress))

    def _rise(self, progress: float) -> float:
        if self.kind == "onecycle":
            start = self.peak / ONECYCLE_DIVISOR
            return self.peak - 0.5 * (self.peak - start) * (1.0 + math.cos(math.pi * progress))
        return self.peak * progress
