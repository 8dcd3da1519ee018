"""Runs in MLflow, followed from the journal in a thread of its own.

The training never waits for MLflow: records are queued and a thread imports MLflow, opens the store and logs. A store
that fails is one warning and is tried again with growing pauses; what it missed is sent when it is back, and nothing
is sent twice. The journal keeps every record whatever happens.
"""

import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lib.training.records.journal import Record
from lib.training.records.mlflow_model import MODEL_FOLDER, save_model_folder
from lib.training.records.mlflow_store import MlflowStore
from lib.training.records.run_identity import RunIdentity

logger = logging.getLogger(__name__)

DEFAULT_STORE = "sqlite:///mlruns.db"
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
EXIT_WAIT_SECONDS = 10.0
IMPORT_WAIT_SECONDS = 60.0


def tracking_uri() -> str:
    """Return where runs are tracked: MLFLOW_TRACKING_URI, or a SQLite file in the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE


class RunLink:
    """A run in the store, opened when it is first needed and asked what it has already.

    Attributes:
        store: Where the run is.
    """

    def __init__(self, store: MlflowStore, identity: RunIdentity) -> None:
        self.store = store
        self._identity = identity
        self._run_id: str | None = None
        self._known: set[tuple[str, int, float]] = set()

    @property
    def run_id(self) -> str:
        """Id of the run, opened if it was not."""
        if self._run_id is None:
            who = self._identity
            run_id = self.store.open_run(who.run_name, who.key, who.parameters, who.tags)
            self._known = self.store.points(run_id)
            self._run_id = run_id
        return self._run_id

    @property
    def tags(self) -> dict[str, str]:
        """What the run is found by."""
        return self._identity.tags

    def forget(self) -> None:
        """Open the run anew before it is used again: nobody knows what reached a store that failed."""
        self._run_id = None

    def send(self, record: Record) -> int:
        """Log the finite metrics of a record that the store does not have, and return their number."""
        run_id = self.run_id
        metrics = {
            name: value
            for name, value in record.metrics.items()
            if math.isfinite(value) and (name, record.step, value) not in self._known
        }
        if metrics:
            self.store.log_metrics(run_id, metrics, record.step, record.time_ms)
        return len(metrics)


class Tracker:
    """Sends records, artifacts and the end of a run to MLflow, in order, from a thread.

    Args:
        identity: The run.
        journal_path: Where its records are, for messages.
        earlier: Records of the journal from before; those that MLflow misses are sent first.
    """

    def __init__(self, identity: RunIdentity, journal_path: Path, earlier: Sequence[Record] = ()) -> None:
        self._journal_path = journal_path
        self._link = RunLink(MlflowStore(tracking_uri(), identity.experiment), identity)
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._imported = threading.Event()
        self._closing = threading.Event()
        self._last_sign = time.monotonic()
        self._is_down = False
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._jobs.put(lambda: self._link.run_id)
        for record in earlier:
            self.log(record)
        self._thread.start()

    def log(self, record: Record) -> None:
        """Queue the metrics of one record."""
        self._jobs.put(lambda: self._link.send(record))

    def log_tags(self, tags: dict[str, str]) -> None:
        """Queue tags that replace those of the same names."""
        self._jobs.put(lambda: self._link.store.set_tags(self._link.run_id, tags))

    def log_artifact(self, path: Path) -> None:
        """Queue a file or a folder."""
        self._jobs.put(lambda: self._link.store.log_artifact(self._link.run_id, path))

    def log_model(self, onnx_path: Path, name: str) -> None:
        """Queue an ONNX file as the run's model and as a version of a registered one.

        Args:
            onnx_path: The file; its folder gets one that MLflow can load.
            name: Of the registered model.
        """
        who = self._link
        # Three jobs, for each of them is a sign of life.
        self._jobs.put(lambda: save_model_folder(onnx_path))
        self.log_artifact(onnx_path.with_name(MODEL_FOLDER))
        self._jobs.put(lambda: who.store.register_model(who.run_id, name, MODEL_FOLDER, who.tags))

    def close(self, status: str, wait_seconds: float = EXIT_WAIT_SECONDS) -> None:
        """End the run and wait for what is queued, as long as the store gives a sign of life.

        Args:
            status: FINISHED, FAILED or KILLED, as MLflow names them.
            wait_seconds: How long to wait at most for the next sign.
        """
        self._jobs.put(lambda: self._link.store.end_run(self._link.run_id, status))
        self._jobs.put(None)
        self._closing.set()
        self._imported.wait(IMPORT_WAIT_SECONDS)
        begin = time.monotonic()
        while self._thread.is_alive() and time.monotonic() < max(begin, self._last_sign) + wait_seconds:
            self._thread.join(0.02)
        if self._thread.is_alive():
            logger.warning("MLflow does not answer; its records are in %s", self._journal_path)
        if self._thread.is_alive() or self._is_down:
            logger.warning("send them later by: python macro/replay_journal.py %s", self._journal_path.parent)

    def _work(self) -> None:
        # MLflow takes seconds to import, which says nothing about the store.
        self._link.store.failures()
        self._imported.set()
        last_chance = False
        while (job := self._jobs.get()) is not None:
            pause = FIRST_PAUSE_SECONDS
            while not self._attempt(job):
                if last_chance:
                    return
                last_chance = self._closing.is_set()
                self._closing.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _attempt(self, job: Callable[[], object]) -> bool:
        """Do one job; return False if the store failed."""
        try:
            job()
        except self._link.store.failures() as error:
            self._link.forget()
            if not self._is_down:
                self._warn(error)
            self._is_down = True
            return False
        self._last_sign = time.monotonic()
        if self._is_down:
            self._is_down = False
            logger.info("MLflow is back; it gets what it missed")
        return True

    def _warn(self, error: Exception) -> None:
        logger.warning(
            "MLflow failed (%s: %s); the training goes on and its records are in %s",
            type(error).__name__,
            str(error).splitlines()[0] if str(error) else "no message",
            self._journal_path,
        )
