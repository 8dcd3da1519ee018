"""Sending a run's journal to MLflow after the run."""

from pathlib import Path

from lib.errors import ConfigError
from lib.training.records.journal import JOURNAL_NAME, read_journal
from lib.training.records.mlflow_store import MlflowStore
from lib.training.records.run_identity import load_identity
from lib.training.records.tracking import RunLink, tracking_uri
from lib.training.saving.folder_lock import FolderLock


def replay_journal(folder: Path) -> tuple[int, int]:
    """Send what MLflow misses of a run's journal; a second time there is nothing to send.

    Args:
        folder: Folder of a run that is not under way.

    Returns:
        Epochs in the journal, and values that were sent.

    Raises:
        DataError: If the folder holds no run.
        ConfigError: If the run is under way, or if the store cannot be used.
    """
    identity, status = load_identity(folder)
    uri = tracking_uri()
    store = MlflowStore(uri, identity.experiment)
    lock = FolderLock(folder)
    try:
        records = read_journal(folder / JOURNAL_NAME)
        link = RunLink(store, identity)
        sent = sum(link.send(record) for record in records)
        # A run that was killed has no end of its own.
        link.store.end_run(link.run_id, "KILLED" if status == "RUNNING" else status)
    except store.failures() as error:
        raise ConfigError(f"{uri}: cannot be used ({error}). Set MLFLOW_TRACKING_URI, or try again later.") from error
    finally:
        lock.release()
    return len(records), sent
