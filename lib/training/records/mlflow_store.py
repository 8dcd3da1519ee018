"""The few calls to MLflow that tracking needs.

MLflow takes seconds to import and to create its tables, so it is imported at the first call, by whoever makes it.
"""

import fcntl
import functools
import hashlib
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lib.atomic import atomic_path, remove_partial

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

MAX_PARAMETER_LENGTH = 500
KEY_TAG = "run_key"
TRAINING_KIND = {"mlflow.experimentKind": "custom_model_development"}
SQLITE = "sqlite:///"
SQLITE_CACHE_KB = 256
"""What a connection keeps of the database; SQLite's own 2 MB fill for a hundred epochs and save a writer nothing."""


class MlflowStore:
    """One tracking store and one experiment in it.

    Args:
        uri: Tracking URI, such as ``sqlite:///mlruns.db``.
        experiment: Experiment that runs are created in.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self._uri = _with_absolute_path(uri)
        self._experiment = experiment
        self._cached_client: MlflowClient | None = None

    @staticmethod
    def failures() -> tuple[type[Exception], ...]:
        """Return what a store that is down, locked, read-only or gone raises."""
        # The store's own library may be what is missing, so its exceptions cannot be named before it is there.
        try:
            from mlflow.exceptions import MlflowException  # noqa: PLC0415
        except ImportError:
            return (ImportError, OSError)
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        return (MlflowException, SQLAlchemyError, ImportError, OSError)

    @property
    def client(self) -> "MlflowClient":
        """MLflow's own client, with the tables of the store in place."""
        if self._cached_client is None:
            from mlflow.tracking import MlflowClient  # noqa: PLC0415

            for talkative in ("mlflow", "alembic"):
                logging.getLogger(talkative).setLevel(logging.WARNING)
            # Runs that start together would all create the tables of a new database; the first one alone may.
            with _exclusive(self._uri):
                _create_database(self._uri)
                self._cached_client = MlflowClient(self._uri)
                self._cached_client.search_experiments(max_results=1)
        return self._cached_client

    def _experiment_id(self) -> str:
        with _exclusive(self._uri):
            experiment = self.client.get_experiment_by_name(self._experiment)
            if experiment:
                return experiment.experiment_id
            # Without a kind the pages of MLflow begin with its view of language models.
            return self.client.create_experiment(self._experiment, tags=TRAINING_KIND)

    def open_run(self, name: str, key: str, parameters: dict[str, str], tags: dict[str, str]) -> str:
        """Go on with the run that carries the key, or create it, and return its id."""
        from mlflow.entities import Param, RunTag  # noqa: PLC0415

        _limit_cache()
        client, experiment = self.client, self._experiment_id()
        resumed = self.find_run(key)
        if resumed is not None:
            client.update_run(resumed, status="RUNNING")
            client.log_batch(resumed, tags=[RunTag(tag, value) for tag, value in tags.items()])
            return resumed
        run_id: str = client.create_run(experiment, run_name=name, tags={**tags, KEY_TAG: key}).info.run_id
        # MLflow takes at most 100 parameters at a time.
        entries = [Param(key, value[:MAX_PARAMETER_LENGTH]) for key, value in parameters.items()]
        for first in range(0, len(entries), 100):
            client.log_batch(run_id, params=entries[first : first + 100])
        return run_id

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag  # noqa: PLC0415

        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def log_metrics(self, run_id: str, metrics: dict[str, float], step: int, time_ms: int) -> None:
        """Log finite metrics at one step."""
        from mlflow.entities import Metric  # noqa: PLC0415

        self.client.log_batch(run_id, metrics=[Metric(name, value, time_ms, step) for name, value in metrics.items()])

    def points(self, run_id: str) -> set[tuple[str, int, float]]:
        """Return every metric that a run has, as (name, step, value)."""
        names = self.client.get_run(run_id).data.metrics
        return {
            (name, point.step, point.value) for name in names for point in self.client.get_metric_history(run_id, name)
        }

    def log_artifact(self, run_id: str, path: Path) -> None:
        """Copy a file, or the content of a folder under its name, to the run."""
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), path.name)
        else:
            self.client.log_artifact(run_id, str(path))

    def register_model(self, run_id: str, name: str, folder: str, tags: dict[str, str]) -> str:
        """Make a folder of a run's artifacts a version of a registered model, once per run, and return its number.

        Args:
            run_id: Whose artifact it is.
            name: Registered model; created if there is none of this name.
            folder: Path of the artifact.
            tags: What the version is found by.
        """
        for known in self.client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
            return str(known.version)
        with _exclusive(self._uri):
            if not self.client.search_registered_models(f"name = '{name}'", max_results=1):
                self.client.create_registered_model(name)
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{folder}"
        return str(self.client.create_model_version(name, source, run_id, tags=tags).version)

    def find_run(self, key: str) -> str | None:
        """Return the id of the run that carries a key, None if there is none."""
        experiment = self.client.get_experiment_by_name(self._experiment)
        if experiment is None:
            return None
        found = self.client.search_runs([experiment.experiment_id], f"tags.{KEY_TAG} = '{key}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def end_run(self, run_id: str, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        self.client.set_terminated(run_id, status)


@functools.cache
def _limit_cache() -> None:
    """Give each connection to a SQLite database that this process opens from now on a cache of ``SQLITE_CACHE_KB``."""
    from sqlalchemy import Engine, event  # noqa: PLC0415

    def limit(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            # What is no database says so where it is first used; here MLflow would try again for minutes.
            with suppress(sqlite3.Error):
                connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KB}")

    event.listen(Engine, "connect", limit)


def _create_database(uri: str) -> None:
    """Make the database of a SQLite store that is not there yet; it gets its name when all tables are in it.

    A process that is killed between two of MLflow's migrations would leave a database that no migration can mend.
    """
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    database = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or database.exists():
        return
    remove_partial(database)
    with atomic_path(database) as partial:
        MlflowClient(f"{SQLITE}{partial.absolute()}").search_experiments(max_results=1)


@contextmanager
def _exclusive(uri: str) -> Iterator[None]:
    """Hold a lock that all runs with the same store share."""
    with _lock_path(uri).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _with_absolute_path(uri: str) -> str:
    """Return the URI so that it means the same database wherever the process stands later.

    MLflow keeps its connections by URI.
    """
    return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}" if uri.startswith(SQLITE) else uri


def _lock_path(uri: str) -> Path:
    """Return the lock of a store: beside a database, where other users and machines that write it find it too."""
    if uri.startswith(SQLITE):
        database = Path(uri.removeprefix(SQLITE))
        return database.with_name(f".{database.name}.lock")
    name = hashlib.sha256(uri.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"xec_mlflow_{os.getuid()}_{name}.lock")
