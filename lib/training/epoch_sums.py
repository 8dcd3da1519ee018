"""What an epoch under way has summed up: saved with it, so that its metrics survive an interruption bit for bit."""

from typing import Any

import torch

from lib.training.guard import GuardRecord
from lib.training.meters import MeanMeters
from lib.training.records.system_metrics import SYSTEM_METRICS


class EpochSums:
    """Running sums of one training epoch.

    Attributes:
        meters: Sums and counts of the task's metrics.
        norms: Gradient norm of each step so far, those that are not finite included; float32, on the CPU.
        nonfinite: Steps that were skipped because their loss or gradient was not finite.
        spikes: Steps that were skipped because their gradient was far above all others.
        rollbacks: Times that the training went back to an older state.
        undone_steps: Steps that were left behind by it, those of earlier epochs included.
        passed_over: Batches that were passed over after it.
        events: Events of all steps.
        seconds: Time spent in all steps.
        waiting: Seconds of it spent waiting for data.
    """

    def __init__(self) -> None:
        self.meters = MeanMeters()
        self.norms = torch.empty(0)
        self.nonfinite = 0
        self.spikes = 0
        self.rollbacks = 0
        self.undone_steps = 0
        self.passed_over = 0
        self.events = 0
        self.seconds = 0.0
        self.waiting = 0.0

    def count(self, record: GuardRecord) -> None:
        """Add what the guard decided on some steps."""
        self.norms = torch.cat([self.norms, record.norms])
        self.nonfinite += int((~record.finite).sum())
        self.spikes += int((record.finite & ~record.accepted).sum())

    @property
    def skipped(self) -> int:
        """Steps that were not applied."""
        return self.nonfinite + self.spikes

    def guard_metrics(self) -> dict[str, float]:
        """Return largest, median and 99th percentile of the finite gradient norms, and what was skipped."""
        # max() of a list with NaN hides or spreads it, so the finite norms are looked at alone.
        finite = self.norms[torch.isfinite(self.norms)].sort().values
        last = len(finite) - 1
        largest, median, high = (float(finite[round(share * last)]) if last >= 0 else 0.0 for share in (1.0, 0.5, 0.99))
        return {
            "grad_norm_max": largest,
            "grad_norm_p50": median,
            "grad_norm_p99": high,
            "nonfinite_steps": float(self.nonfinite),
            "skipped_steps": float(self.skipped),
            "train/rollbacks": float(self.rollbacks),
            "train/undone_steps": float(self.undone_steps),
            "train/passed_over_batches": float(self.passed_over),
        }

    def count_rollback(self, undone_steps: int, passed_over: int) -> None:
        """Add one return to an older state."""
        self.rollbacks += 1
        self.undone_steps += undone_steps
        self.passed_over += passed_over

    def clock_metrics(self) -> dict[str, float]:
        """Return how fast the epoch went; of its sums the only ones that differ when it is repeated."""
        seconds = max(self.seconds, 1e-9)
        return {"train/events_per_second": self.events / seconds, "train/data_wait_share": self.waiting / seconds}

    def state_dict(self) -> dict[str, Any]:
        """Return everything as tensors and plain values."""
        numbers = {name: value for name, value in vars(self).items() if name != "meters"}
        return {**numbers, "meters": self.meters.state_dict()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from what ``state_dict`` returned."""
        self.norms = state["norms"].cpu()
        self.nonfinite, self.spikes, self.events = state["nonfinite"], state["spikes"], state["events"]
        self.rollbacks, self.undone_steps = state["rollbacks"], state["undone_steps"]
        self.passed_over = state["passed_over"]
        self.seconds, self.waiting = state["seconds"], state["waiting"]
        self.meters.load_state_dict(state["meters"], device)


CLOCK_METRICS = frozenset(EpochSums().clock_metrics()) | SYSTEM_METRICS
"""What differs when an epoch is repeated: its speed, and what it took of the machine."""
