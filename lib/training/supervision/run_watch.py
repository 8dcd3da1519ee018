"""Looks after a run between its steps: saves when it is time, shows that it lives, stops when it is asked to."""

from typing import Generic

import torch

from lib.training.protocol import B
from lib.training.ranks.distributed import largest_of_ranks
from lib.training.ranks.rank_check import RankCheck, tell_stragglers
from lib.training.records.follower import FollowerRecorder
from lib.training.records.recorder import RunRecorder
from lib.training.stability.rollback import RollbackReport
from lib.training.stability.skip_report import SkipReport
from lib.training.supervision.signals import StopRequest
from lib.training.supervision.watchdog import Watchdog
from lib.training.trainer import Trainer


class RunWatch(Generic[B]):
    """The watch of a recorded run (``lib.training.protocol.Watch``)."""

    def __init__(
        self,
        trainer: Trainer[B],
        recorder: RunRecorder | FollowerRecorder,
        stop: StopRequest,
        watchdog: Watchdog,
        *,
        check: RankCheck,
    ) -> None:
        self._trainer = trainer
        self._recorder = recorder
        self._stop = stop
        self._watchdog = watchdog
        self._check = check
        self._execution: dict[str, str] = {}

    def begins(self, phase: str) -> None:
        """Be patient until the next sign of life."""
        self._watchdog.begin(phase)

    def step_done(self) -> None:
        """Compare the ranks and save, if it is time for either, unless the epoch is about to be left and saved anyway.

        Raises:
            DisagreementError: If the ranks do not hold the same; nothing of it is saved then.
        """
        step = self._trainer.progress.steps_done
        if self._check.is_due(step):
            tell_stragglers(self._check.compare(step, self._trainer.held_alike(), self._trainer.step_seconds()))
        execution = self._trainer.execution()
        if execution != self._execution:
            self._execution = execution
            self._recorder.record_tags(execution)
        if not self._stop.requested:
            # The disk may still be busy with the checkpoint before.
            self._watchdog.begin("training")
            self._recorder.record_step(self._trainer)

    def step_skipped(self, report: SkipReport) -> None:
        """Write down what the step saw."""
        self._recorder.record_skip(report)

    def went_back(self, report: RollbackReport) -> None:
        """Write down where from and why."""
        self._recorder.record_rollback(report)

    def must_stop(self) -> bool:
        """Return True after a signal to any rank; asked after each step and each batch of the validation."""
        self._watchdog.beat(self._trainer.progress.steps_done)
        return bool(largest_of_ranks(torch.tensor(self._stop.requested, dtype=torch.int32)))
