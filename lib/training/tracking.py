"""Runs in MLflow, followed from the journal in a thread of its own.

The training never waits for MLflow: records are queued and a thread imports MLflow, opens the store and logs. If the
store fails, one warning says so, the training goes on and the journal keeps every record.
"""

import logging
import math
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lib.training.journal import Record
from lib.training.mlflow_store import MlflowStore

logger = logging.getLogger(__name__)

DEFAULT_STORE = "sqlite:///mlruns.db"


def tracking_uri() -> str:
    """Return where runs are tracked: MLFLOW_TRACKING_URI, or a SQLite file in the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE


@dataclass(frozen=True)
class RunIdentity:
    """How a run appears in MLflow.

    Attributes:
        experiment: Experiment that collects runs.
        run_name: Name of the run.
        key: Tells this run from all others; a run that is there already under this key is continued.
        parameters: Settings, flat.
        tags: What else the run is found by.
    """

    experiment: str
    run_name: str
    key: str
    parameters: dict[str, str]
    tags: dict[str, str]


class Tracker:
    """Sends records, artifacts and the end of a run to MLflow, in order, from a thread."""

    def __init__(self, identity: RunIdentity, journal_path: Path) -> None:
        self._journal_path = journal_path
        self._store = MlflowStore(tracking_uri(), identity.experiment)
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._failed = False
        self._run_id = ""
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._jobs.put(lambda: self._open(identity))
        self._thread.start()

    def _open(self, identity: RunIdentity) -> None:
        self._run_id = self._store.open_run(identity.run_name, identity.key, identity.parameters, identity.tags)

    def log(self, record: Record) -> None:
        """Queue the metrics of one record."""
        metrics = {name: value for name, value in record.metrics.items() if math.isfinite(value)}
        self._jobs.put(lambda: self._store.log_metrics(self._run_id, metrics, record.step, record.time_ms))

    def log_artifact(self, path: Path) -> None:
        """Queue a file or a folder."""
        self._jobs.put(lambda: self._store.log_artifact(self._run_id, path))

    def close(self, status: str, wait_seconds: float = 30.0) -> None:
        """End the run and wait a bounded time for what is queued.

        Args:
            status: FINISHED, FAILED or KILLED, as MLflow names them.
            wait_seconds: How long to wait at most.
        """
        self._jobs.put(lambda: self._store.end_run(self._run_id, status))
        self._jobs.put(None)
        self._thread.join(wait_seconds)
        if self._thread.is_alive():
            logger.warning("MLflow does not answer; its records are in %s", self._journal_path)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._failed:
                self._attempt(job)

    def _attempt(self, job: Callable[[], None]) -> None:
        try:
            job()
        except self._store.failures() as error:
            self._failed = True
            logger.warning(
                "MLflow failed (%s: %s); the training goes on and its records are in %s",
                type(error).__name__,
                str(error).splitlines()[0] if str(error) else "no message",
                self._journal_path,
            )
