"""The recorder of every rank but the first: writes nothing, for the first one writes for all."""

from pathlib import Path

from lib.training.protocol import B
from lib.training.stability.rollback import RollbackReport
from lib.training.stability.skip_report import SkipReport
from lib.training.trainer import Trainer


class FollowerRecorder:
    """Has the methods that a training calls of ``lib.training.records.recorder.RunRecorder``.

    Args:
        folder: Folder of the run, which the first rank has taken.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record_epoch(self, trainer: Trainer[B], metrics: dict[str, float], *, is_last: bool) -> None:
        """Write nothing."""

    def record_step(self, trainer: Trainer[B]) -> None:
        """Write nothing."""

    def save_last(self, trainer: Trainer[B]) -> bool:  # noqa: ARG002 - the signature of recorders
        """Write nothing."""
        return True

    def record_skip(self, report: SkipReport) -> None:
        """Write nothing."""

    def record_rollback(self, report: RollbackReport) -> None:
        """Write nothing."""

    def record_tags(self, tags: dict[str, str]) -> None:
        """Write nothing."""

    def record_artifact(self, path: Path) -> None:
        """Write nothing."""

    def close(self, status: str) -> None:
        """Leave the run to the first rank."""
