"""Keeps account of skipped steps, and ends a run that skips too many."""

import logging
from collections.abc import Sequence

from lib.training.epoch_sums import EpochSums
from lib.training.guard import GuardRecord
from lib.training.ranks.distributed import rank
from lib.training.stability.guard_config import GuardConfig
from lib.training.stability.skip_report import Identity, SkipReport, module_norms

logger = logging.getLogger(__name__)

ADVICE = "Look at the data with lib.check, or lower training.lr."


class SkipCapError(Exception):
    """So many steps had to be skipped that the training is not worth its time."""


class SkipLedger:
    """Knows which events the steps saw that the guard has not been asked about yet.

    Args:
        config: How many skips are too many.
        steps_per_epoch: Steps of which a share may be skipped.
        parameters: Names of the trainable parameters, in the guard's order.
    """

    def __init__(self, config: GuardConfig, steps_per_epoch: int, parameters: Sequence[str]) -> None:
        self._in_row = 0
        self._longest_row = 0
        self._config = config
        self._allowed = max(config.max_skips_in_row, config.max_skipped_share * steps_per_epoch)
        self._parameters = parameters
        self._noted: list[tuple[int, Sequence[Identity]]] = []

    def note(self, step: int, batches: Sequence[Identity]) -> None:
        """Remember the events of one step until the guard is asked about it."""
        self._noted.append((step, batches))

    def reports(self, record: GuardRecord) -> list[SkipReport]:
        """Count the steps noted since the last call, forget them, and return a report for each that was skipped."""
        noted, self._noted = self._noted, []
        found = []
        for index, (step, batches) in enumerate(noted):
            if record.accepted[index]:
                self._in_row = 0
                continue
            self._in_row += 1
            self._longest_row = max(self._longest_row, self._in_row)
            norms = module_norms(self._parameters, record.parameter_norms[index].tolist())
            seen = bool(record.finite[index]), float(record.norms[index]), float(record.losses[index])
            found.append(SkipReport(step, *seen, batches, norms, rank()))
        return found

    def forget_row(self) -> None:
        """Count skips in a row anew, after the training went back to an older state."""
        self._in_row = self._longest_row = 0

    def state_dict(self) -> dict[str, int]:
        """Return the lengths of the row under way and of the longest one."""
        return {"in_row": self._in_row, "longest_row": self._longest_row}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on with what ``state_dict`` returned."""
        self._in_row, self._longest_row = state["in_row"], state["longest_row"]

    def require_few(self, sums: EpochSums) -> None:
        """Look at the skips in a row and in the epoch.

        Raises:
            SkipCapError: If either are too many.
        """
        if self._longest_row >= self._config.max_skips_in_row:
            raise SkipCapError(f"{self._longest_row} steps in a row were skipped ({_reasons(sums)}). {ADVICE}")
        if sums.skipped > self._allowed:
            share = f"{sums.skipped} of {len(sums.norms)} steps of the epoch"
            raise SkipCapError(f"{share} were skipped ({_reasons(sums)}). {ADVICE}")

    def require_learning(self, sums: EpochSums) -> None:
        """Warn of skipped steps of a finished epoch.

        Raises:
            SkipCapError: If not one of its steps was applied.
        """
        steps = len(sums.norms)
        if sums.skipped == steps:
            why = f"{_reasons(sums)}); nothing was learnt. {ADVICE}"
            raise SkipCapError(f"all {steps} steps of the epoch were skipped ({why}")
        if sums.skipped:
            logger.warning("skipped %d of %d steps (%s)", sums.skipped, steps, _reasons(sums))


def _reasons(sums: EpochSums) -> str:
    return f"{sums.nonfinite} with a loss or gradient that was not finite, {sums.spikes} far above the usual"
