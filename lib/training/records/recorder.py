"""What a run leaves behind: its folder, journal, checkpoints and its entry in MLflow."""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.atomic import atomic_path, make_folder
from lib.errors import ConfigError
from lib.training.config import CheckpointConfig
from lib.training.protocol import B
from lib.training.records.journal import Journal
from lib.training.records.run_identity import RunIdentity, save_identity
from lib.training.records.tracking import Tracker
from lib.training.saving.checkpoint import BEST_NAME, LAST_NAME, Checkpoint
from lib.training.saving.checkpoint_writer import CheckpointWriter
from lib.training.saving.folder_lock import FolderLock
from lib.training.stability.rollback import RollbackReport
from lib.training.stability.skip_report import SkipReport
from lib.training.trainer import Trainer

logger = logging.getLogger(__name__)

SKIPPED_FOLDER = "skipped_steps"
ROLLBACK_FOLDER = "rollbacks"


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
        ConfigError: If it holds another run than the resumed one, lies elsewhere, or cannot be created.
    """
    folder = config.save_dir / run_name
    _require_inside(folder, config.save_dir)
    if holds_other_run(folder, resumed):
        raise ConfigError(
            f"{folder}: already holds a run. Choose another mlflow.run_name, or go on with that run by "
            "--resume_from auto."
        )
    try:
        make_folder(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be created ({error.strerror}). Set checkpoint.save_dir.") from error
    return folder


def _require_inside(folder: Path, root: Path) -> None:
    """Refuse a link under a run's name that leads out of the folder of runs.

    Raises:
        ConfigError: Naming where it leads.
    """
    place = folder.resolve()
    if not place.is_relative_to(root.resolve()):
        raise ConfigError(
            f"{folder}: leads to {place}, out of {root}. Remove the link, or make checkpoint.save_dir the place where "
            "runs are to be."
        )


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
        config: Says how often checkpoints are written.
        metrics: Those of the last epoch of a run that goes on.

    Raises:
        ConfigError: If another process writes to the folder.
    """

    def __init__(
        self,
        folder: Path,
        model: ModelIdentity,
        run: RunIdentity,
        *,
        config: CheckpointConfig,
        metrics: dict[str, float] | None = None,
    ) -> None:
        self.folder = folder
        self._lock = FolderLock(folder)
        self._model = model
        self._run = run
        self._metrics = metrics or {}
        self._writer = CheckpointWriter(folder, config)
        self._writer.remove_partial_files()
        # Lowest validation loss before the one whose checkpoint is being written.
        self._best_before: float | None = None
        self._note_status("RUNNING")
        self._journal = Journal(folder)
        self._tracker = Tracker(run, self._journal.path, self._journal.read())

    def record_epoch(self, trainer: Trainer[B], metrics: dict[str, float], *, is_last: bool) -> None:
        """Journal the metrics of a finished epoch and write the checkpoints that are due.

        Args:
            trainer: Just finished the epoch.
            metrics: What the epoch gave; ``val/loss`` decides which checkpoint is the best.
            is_last: Whether the training ends here.
        """
        self._settle(trainer)
        progress = trainer.progress
        if not (self.folder / BEST_NAME).exists():
            # A run that goes on from another folder left its best there.
            progress.best = math.inf
        improved = metrics["val/loss"] < progress.best
        # Pages and tables of many runs show and sort by the last value of a metric alone.
        self._metrics = {**metrics, "val/loss_best": metrics["val/loss"] if improved else progress.best}
        self._tracker.log(self._journal.append(progress.epochs_done, self._metrics))
        if improved:
            self._record_best(trainer)
        elif is_last or self._writer.is_due_after_epoch(progress.epochs_done):
            self._writer.save(self._checkpoint(trainer), LAST_NAME)
        if is_last:
            self._settle(trainer)
        _tell(progress.epochs_done, metrics, improved=improved)

    def _record_best(self, trainer: Trainer[B]) -> None:
        self._best_before, trainer.progress.best = trainer.progress.best, self._metrics["val/loss"]
        # The best one first: a run that is killed between the two repeats the epoch and finds it better again.
        self._writer.save(self._checkpoint(trainer), BEST_NAME, LAST_NAME)

    def _settle(self, trainer: Trainer[B]) -> bool:
        """Wait for the checkpoint under way; if the disk refused the best, the next better than the one on disk is it.

        Returns:
            False if the disk refused.
        """
        written = self._writer.finish()
        if not written and self._best_before is not None:
            trainer.progress.best = self._best_before
        self._best_before = None
        return written

    def record_step(self, trainer: Trainer[B]) -> None:
        """Write the checkpoint inside an epoch if it is time."""
        if self._writer.is_due(trainer.progress.steps_done):
            self._settle(trainer)
            self._writer.save(self._checkpoint(trainer), LAST_NAME)

    def save_last(self, trainer: Trainer[B]) -> bool:
        """Write the checkpoint that the run goes on from and wait for it; return False if the disk refused."""
        self._settle(trainer)
        self._writer.save(self._checkpoint(trainer), LAST_NAME)
        return self._settle(trainer)

    def record_skip(self, report: SkipReport) -> None:
        """Write down a skipped step: its events and the gradient norms of the modules."""
        _write_report(self.folder / SKIPPED_FOLDER / f"step_{report.step:08d}.json", report.as_dict())

    def record_rollback(self, report: RollbackReport) -> None:
        """Write down a return to an older state."""
        _write_report(self.folder / ROLLBACK_FOLDER / f"step_{report.step:08d}.json", report.as_dict())

    def record_tags(self, tags: dict[str, str]) -> None:
        """Send what became known of the run to MLflow."""
        self._tracker.log_tags(tags)

    def record_artifact(self, path: Path) -> None:
        """Send a file of the run's folder to MLflow."""
        self._tracker.log_artifact(path)

    def record_model(self, onnx_path: Path, name: str) -> None:
        """Send an exported model to MLflow, as the run's model and as a version of the registered model ``name``."""
        self._tracker.log_model(onnx_path, name)

    def close(self, status: str) -> None:
        """End the run in MLflow as FINISHED, FAILED or KILLED, and let go of the folder."""
        try:
            self._writer.close()
        finally:
            self._journal.flush()
            self._tracker.close(status)
            self._note_status(status)
            self._lock.release()

    def _note_status(self, status: str) -> None:
        try:
            save_identity(self.folder, self._run, status)
        except OSError as error:
            logger.warning("%s: cannot be written (%s)", self.folder, error)

    def _checkpoint(self, trainer: Trainer[B]) -> Checkpoint:
        return Checkpoint(
            kind=self._model.kind,
            config=self._model.config,
            about=self._model.about,
            run_key=self._run.key,
            metrics=self._metrics,
            **vars(trainer.progress),
            **trainer.state(),
        ).on_host()


def _write_report(path: Path, content: dict[str, Any]) -> None:
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        logger.warning("%s: cannot be written (%s)", path, error)


def _tell(epoch: int, metrics: dict[str, float], *, improved: bool) -> None:
    logger.info(
        "epoch %d: train loss %.4g, validation loss %.4g%s, grad_norm_max %.3g, %.0f events/s, %.0f %% of it "
        "waiting for data",
        epoch,
        metrics.get("train/loss", float("nan")),
        metrics["val/loss"],
        " (best)" if improved else "",
        metrics["grad_norm_max"],
        metrics["train/events_per_second"],
        100 * metrics["train/data_wait_share"],
    )
