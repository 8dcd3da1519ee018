"""Sending a run's journal to MLflow after the run."""

from pathlib import Path

from lib.training.folder_lock import FolderLock
from lib.training.journal import JOURNAL_NAME, read_journal
from lib.training.mlflow_store import MlflowStore
from lib.training.run_identity import load_identity
from lib.training.tracking import RunLink, tracking_uri


def replay_journal(folder: Path) -> tuple[int, int]:
    """Send what MLflow misses of a run's journal; a second time there is nothing to send.

    Args:
        folder: Folder of a run that is not under way.

    Returns:
        Epochs in the journal, and values that were sent.

    Raises:
        DataError: If the folder holds no run.
        ConfigError: If the run is under way.
    """
    identity, status = load_identity(folder)
    lock = FolderLock(folder)
    try:
        records = read_journal(folder / JOURNAL_NAME)
        link = RunLink(MlflowStore(tracking_uri(), identity.experiment), identity)
        sent = sum(link.send(record) for record in records)
        # A run that was killed has no end of its own.
        link.store.end_run(link.run_id, "KILLED" if status == "RUNNING" else status)
    finally:
        lock.release()
    return len(records), sent
