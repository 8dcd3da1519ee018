"""When checkpoints are written, which are kept, and what happens if the disk refuses."""

import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from lib.errors import CheckpointError
from lib.training.config import CheckpointConfig
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.saving.sealed_file import verify_seal

logger = logging.getLogger(__name__)

_EARLIER = re.compile(r"checkpoint_step_(\d{8,})\.pth")


class CheckpointWriter:
    """Writes the checkpoints of one run in a thread, one at a time.

    The training waits for nothing but a write that is still under way when the next one is due. A disk that is full,
    read-only or failing costs a warning: the training goes on, the older file stays as it is, and the next interval
    tries again.

    Args:
        folder: Folder of the run.
        config: Says how often, and how many earlier positions are kept.
        clock: Seconds that only grow.
    """

    def __init__(self, folder: Path, config: CheckpointConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._config = config
        self._clock = clock
        self._last_time = clock()
        self._last_step: int | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._under_way: Future[bool] | None = None

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

    def save(self, checkpoint: Checkpoint, *names: str) -> None:
        """Begin to write a checkpoint under each name, in order, after waiting for the one before.

        Args:
            checkpoint: What is written; nobody may change its tensors any more.
            names: Names of files; one that the disk refuses is the last that is tried.
        """
        self.finish()
        self._last_time, self._last_step = self._clock(), checkpoint.steps_done
        self._under_way = self._thread.submit(self._write, checkpoint, names)

    def finish(self) -> bool:
        """Wait for the write that is under way; return False if the disk refused it."""
        under_way, self._under_way = self._under_way, None
        return under_way is None or under_way.result()

    def close(self) -> bool:
        """Like ``finish``, for the last time."""
        done = self.finish()
        self._thread.shutdown()
        return done

    def _write(self, checkpoint: Checkpoint, names: tuple[str, ...]) -> bool:
        for name in names:
            path = self._folder / name
            try:
                # The best one is copied, exported and read far more often than gone on from.
                content = checkpoint.without_kept_states() if name == BEST_NAME else checkpoint
                content.save(path)
            except OSError as error:
                logger.warning("%s: not saved (%s); the older one is untouched and the training goes on", path, error)
                return False
        if LAST_NAME in names:
            try:
                self._keep(checkpoint)
            except OSError as error:
                logger.warning("%s: an earlier position was not kept (%s)", self._folder, error)
        return True

    def _keep(self, checkpoint: Checkpoint) -> None:
        """Keep the position that was just saved if it is far enough from the earlier ones, and drop the oldest."""
        step = checkpoint.steps_done
        earlier = self._earlier()
        # A run that went on from an earlier position has left these behind.
        abandoned = [other for other in earlier if other >= step]
        kept = [other for other in earlier if other < step]
        if self._config.keep_last and (not kept or step - kept[-1] >= self._config.keep_spacing):
            self._give_second_name(checkpoint, _named(self._folder, step))
            kept.append(step)
            abandoned = [other for other in abandoned if other != step]
        for other in [*abandoned, *kept[: max(len(kept) - self._config.keep_last, 0)]]:
            _named(self._folder, other).unlink(missing_ok=True)

    def _give_second_name(self, checkpoint: Checkpoint, path: Path) -> None:
        path.unlink(missing_ok=True)
        try:
            # Costs nothing: the bytes are those of the file that was just verified.
            path.hardlink_to(self._folder / LAST_NAME)
        except OSError:
            # Some network file systems have no links.
            checkpoint.save(path)

    def _earlier(self) -> list[int]:
        """Return the steps of the positions that are kept, in order."""
        found = (_EARLIER.fullmatch(path.name) for path in self._folder.glob("checkpoint_step_*.pth"))
        return sorted(int(match.group(1)) for match in found if match)

    def remove_partial_files(self) -> None:
        """Remove what a killed process left half written; the folder must be locked."""
        for path in self._folder.glob(".*.partial.*"):
            path.unlink(missing_ok=True)


def newest_sound(folder: Path) -> Path | None:
    """Return the newest checkpoint of a run whose seal is right, or None if the folder has none.

    Raises:
        CheckpointError: If there are some, but all are damaged.
    """
    earlier = sorted(
        (path for path in folder.glob("checkpoint_step_*.pth") if _EARLIER.fullmatch(path.name)), reverse=True
    )
    candidates = [path for path in (folder / LAST_NAME, *earlier, folder / BEST_NAME) if path.exists()]
    for path in candidates:
        try:
            verify_seal(path)
        except CheckpointError as error:
            logger.warning("%s", error)
            last_error = error
        else:
            if path != candidates[0]:
                logger.warning("the run goes on from an older position, %s", path)
            return path
    if candidates:
        raise CheckpointError(f"{folder}: no checkpoint of the run is undamaged. {last_error}")
    return None


def _named(folder: Path, step: int) -> Path:
    return folder / f"checkpoint_step_{step:08d}.pth"
