"""When checkpoints are written, and what happens if the disk refuses."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from lib.training.checkpoint import Checkpoint
from lib.training.config import CheckpointConfig

logger = logging.getLogger(__name__)


class CheckpointWriter:
    """Writes the checkpoints of one run.

    A disk that is full, read-only or failing costs a warning: the training goes on, the older file stays as it is, and
    the next interval tries again.

    Args:
        folder: Folder of the run.
        config: Says how often.
        clock: Seconds that only grow.
    """

    def __init__(self, folder: Path, config: CheckpointConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._config = config
        self._clock = clock
        self._last_time = clock()
        self._last_step: int | None = None

    def is_due(self, steps_done: int) -> bool:
        """Return True if steps or minutes enough went by since the last attempt."""
        if self._last_step is None:
            self._last_step = steps_done - 1
        steps, minutes = self._config.save_steps, self._config.save_minutes
        by_steps = steps is not None and steps_done - self._last_step >= steps
        return by_steps or (minutes is not None and self._clock() - self._last_time >= 60 * minutes)

    def is_due_after_epoch(self, epochs_done: int) -> bool:
        """Return True if a finished epoch is to be saved."""
        return epochs_done % self._config.save_interval == 0

    def save(self, checkpoint: Checkpoint, *names: str) -> bool:
        """Write a checkpoint under each name, in order; return False if the disk refused one of them."""
        self._last_time, self._last_step = self._clock(), checkpoint.steps_done
        for name in names:
            path = self._folder / name
            try:
                checkpoint.save(path)
            except OSError as error:
                logger.warning("%s: not saved (%s); the older one is untouched and the training goes on", path, error)
                return False
        return True

    def remove_partial_files(self) -> None:
        """Remove what a killed process left half written; the folder must be locked."""
        for path in self._folder.glob(".*.partial.*"):
            path.unlink(missing_ok=True)
