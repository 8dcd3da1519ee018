"""A lock on the folder of a run, held as long as its process lives."""

import fcntl
import logging
from pathlib import Path

from lib.errors import ConfigError

logger = logging.getLogger(__name__)

LOCK_NAME = ".lock"


class FolderLock:
    """Keeps a second process from writing a run into the same folder.

    The kernel lets go of the lock when the process ends, however it ends, so that there are no stale ones.

    Raises:
        ConfigError: If another process holds the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / LOCK_NAME).open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ConfigError(
                f"{folder}: another process is writing a run there. Choose another mlflow.run_name, or wait for it."
            ) from error
        except OSError as error:
            logger.warning("%s: this file system has no locks (%s); use the folder for one run only", folder, error)

    def release(self) -> None:
        """Let others use the folder."""
        self._file.close()


def is_held(folder: Path) -> bool:
    """Return True if a process holds the lock of a folder."""
    try:
        lock = FolderLock(folder)
    except (ConfigError, FileNotFoundError) as error:
        return isinstance(error, ConfigError)
    lock.release()
    return False
