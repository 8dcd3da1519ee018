"""What a run leaves behind: its folder, journal, checkpoints and its entry in MLflow."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.errors import ConfigError
from lib.training.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.config import CheckpointConfig
from lib.training.folder_lock import FolderLock
from lib.training.journal import Journal
from lib.training.protocol import B
from lib.training.tracking import RunIdentity, Tracker
from lib.training.trainer import Trainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelIdentity:
    """What every checkpoint of a run says about itself.

    Attributes:
        kind: mae, regressor or inpainter.
        config: The resolved configuration, plain values.
        about: Normalization, targets, code revision, environment; plain values.
    """

    kind: str
    config: dict[str, Any]
    about: dict[str, Any]


def claim_folder(config: CheckpointConfig, run_name: str, resumed: Path | None) -> Path:
    """Return the folder of a run, created.

    Args:
        config: Says where runs have their folders.
        run_name: Name of the folder.
        resumed: Checkpoint that the run goes on from.

    Raises:
        ConfigError: If it holds another run than the resumed one, or if it cannot be created.
    """
    folder = config.save_dir / run_name
    if holds_other_run(folder, resumed):
        raise ConfigError(
            f"{folder}: already holds a run. Choose another mlflow.run_name, or go on with that run by "
            "--resume_from auto."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be created ({error.strerror}). Set checkpoint.save_dir.") from error
    return folder


def holds_other_run(folder: Path, resumed: Path | None) -> bool:
    """Return True if there is a run in the folder, and the checkpoint to go on from is not its own."""
    is_own = resumed is not None and resumed.resolve().parent == folder.resolve()
    return not is_own and (folder / LAST_NAME).exists()


class RunRecorder:
    """Writes down each epoch of a run.

    Args:
        folder: Folder of the run; nobody else may use it until ``close``.
        model: What is trained.
        run: How it appears in MLflow.
        save_interval: Epochs between checkpoints.

    Raises:
        ConfigError: If another process writes to the folder.
    """

    def __init__(self, folder: Path, model: ModelIdentity, run: RunIdentity, *, save_interval: int) -> None:
        self.folder = folder
        self._lock = FolderLock(folder)
        self._model = model
        self._save_interval = save_interval
        self._journal = Journal(folder)
        self._run_key = run.key
        self._tracker = Tracker(run, self._journal.path)

    def record_epoch(self, trainer: Trainer[B], metrics: dict[str, float], *, is_last: bool) -> None:
        """Journal the metrics of a finished epoch and write the checkpoints that are due.

        Args:
            trainer: Just finished the epoch.
            metrics: What the epoch gave; ``val/loss`` decides which checkpoint is the best.
            is_last: Whether the training ends here.
        """
        progress = trainer.progress
        if not (self.folder / BEST_NAME).exists():
            # A run that goes on from another folder left its best there.
            progress.best = math.inf
        improved = metrics["val/loss"] < progress.best
        progress.best = min(progress.best, metrics["val/loss"])
        self._tracker.log(self._journal.append(progress.epochs_done, metrics))
        if improved or is_last or progress.epochs_done % self._save_interval == 0:
            checkpoint = self._checkpoint(trainer, metrics)
            # The best one first: a run that is killed between the two repeats the epoch and finds it better again.
            if improved:
                checkpoint.save(self.folder / BEST_NAME)
            checkpoint.save(self.folder / LAST_NAME)
        logger.info(
            "epoch %d: train loss %.4g, validation loss %.4g%s, grad_norm_max %.3g, %.0f events/s, %.0f %% of it "
            "waiting for data",
            progress.epochs_done,
            metrics.get("train/loss", float("nan")),
            metrics["val/loss"],
            " (best)" if improved else "",
            metrics["grad_norm_max"],
            metrics["train/events_per_second"],
            100 * metrics["train/data_wait_share"],
        )

    def record_artifact(self, path: Path) -> None:
        """Send a file of the run's folder to MLflow."""
        self._tracker.log_artifact(path)

    def close(self, status: str) -> None:
        """End the run in MLflow as FINISHED, FAILED or KILLED, and let go of the folder."""
        self._tracker.close(status)
        self._lock.release()

    def _checkpoint(self, trainer: Trainer[B], metrics: dict[str, float]) -> Checkpoint:
        progress = trainer.progress
        return Checkpoint(
            kind=self._model.kind,
            config=self._model.config,
            about=self._model.about,
            epochs_done=progress.epochs_done,
            steps_done=progress.steps_done,
            schedule_start=progress.schedule_start,
            best=progress.best,
            run_key=self._run_key,
            metrics=metrics,
            **trainer.state(),
        )
