"""Sees when a training has left its course: skip after skip, or a loss that stays far above what it was.

Everything here is plain numbers on the host and depends on the steps alone, not on when they are looked at: a resumed
run comes to the same conclusions at the same steps.

Source: going back and passing over data where the loss spikes follows PaLM (Chowdhery et al., arXiv:2204.02311, 5.1).
"""

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Any

from lib.training.guard import GuardRecord
from lib.training.stability.guard_config import GuardConfig

# Share of the first validation loss below which a loss has no scale of its own: a likelihood passes zero on its way.
_LEAST_SCALE = 0.05

# Times the usual loss up to which one step counts in the average.
_MOST = 10.0


@dataclass
class _Standing:
    """What is known of the steps so far; plain values.

    Attributes:
        steps: Steps seen.
        average: Averaged loss of the accepted ones.
        high_steps: Accepted steps in a row at which it was too high.
        row: Skipped steps since the last accepted one.
        best: Lowest validation loss.
        first: Size of the first finite one; 0 before it.
        trouble: Why the training should go back, in words; empty while it should not.
    """

    steps: int = 0
    average: float = math.nan
    high_steps: int = 0
    row: int = 0
    best: float = math.inf
    first: float = 0.0
    trouble: str = ""


class Course:
    """Follows skips, training loss and validation loss."""

    def __init__(self, config: GuardConfig) -> None:
        self._config = config.rollback
        self._longest_row = config.max_skips_in_row
        self._now = _Standing()
        self._averages: deque[float] = deque(maxlen=self._config.loss_window)
        # Steps at which rows of skips began.
        self._rows: deque[int] = deque(maxlen=self._config.skip_rows)

    @property
    def trouble(self) -> str:
        """Why the training should go back, in words; empty while it should not."""
        return self._now.trouble

    @property
    def is_steady(self) -> bool:
        """True if nothing looks like trouble to come, so that the present state is worth keeping."""
        now = self._now
        calm = not self._rows or now.steps - self._rows[-1] > self._config.skip_steps
        return not now.trouble and calm and now.row == 0 and now.high_steps == 0

    def see(self, record: GuardRecord) -> None:
        """Take in some steps, in their order."""
        for loss, accepted in zip(record.losses.tolist(), record.accepted.tolist(), strict=True):
            if accepted:
                self._see_loss(loss)
            else:
                self._see_skip()
            self._now.steps += 1

    def _see_skip(self) -> None:
        now = self._now
        if now.row == 0:
            # A row counts once: its steps left no trace, and the guard itself knows what to do about a long one.
            self._rows.append(now.steps)
        now.row += 1
        if len(self._rows) == self._config.skip_rows and now.steps - self._rows[0] < self._config.skip_steps:
            now.trouble = f"steps were skipped {len(self._rows)} times within {self._config.skip_steps} steps"
        if now.row >= self._longest_row:
            now.trouble = f"{now.row} steps in a row were skipped"

    def _see_loss(self, loss: float) -> None:
        now, config = self._now, self._config
        now.row = 0
        # A loss that may be negative has no scale on which twice is much.
        usual = median(self._averages) if len(self._averages) == config.loss_window else math.inf
        # A single loss beyond all measure, of a step that was scaled down, must not stand for fifty.
        limited = min(loss, _MOST * usual) if usual > 0 else loss
        before = limited if math.isnan(now.average) else now.average
        now.average = before + (1.0 - config.loss_decay) * (limited - before)
        is_high = usual > 0 and now.average > config.loss_factor * usual
        now.high_steps = now.high_steps + 1 if is_high else 0
        self._averages.append(now.average)
        if now.high_steps >= config.loss_steps:
            now.trouble = (
                f"the averaged loss of {now.average:.4g} is above {config.loss_factor:g} times its median of "
                f"{usual:.4g} for {now.high_steps} steps"
            )

    def see_validation(self, loss: float) -> bool:
        """Take in the loss of a validation; return True if it is the best so far."""
        now, factor = self._now, self._config.validation_factor
        if not now.first and math.isfinite(loss):
            now.first = abs(loss)
        if loss < now.best:
            now.best = loss
            return True
        excess = (factor - 1.0) * max(now.best, _LEAST_SCALE * now.first)
        if 0 < now.best < math.inf and not loss <= now.best + excess:
            now.trouble = f"the validation loss of {loss:.4g} is above {factor:g} times the best, {now.best:.4g}"
        return False

    def forget(self) -> None:
        """Begin anew from another state; the best validation loss stays known."""
        self._now = _Standing(steps=self._now.steps, best=self._now.best, first=self._now.first)
        self._averages.clear()
        self._rows.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return what conclusions depend on, as plain values."""
        return {**vars(self._now), "averages": list(self._averages), "rows": list(self._rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what ``state_dict`` returned; windows that are shorter now keep what is newest."""
        standing = dict(state)
        self._averages = deque(standing.pop("averages"), maxlen=self._config.loss_window)
        self._rows = deque(standing.pop("rows"), maxlen=self._config.skip_rows)
        self._now = _Standing(**standing)
