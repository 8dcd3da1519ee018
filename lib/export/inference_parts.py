"""Finished parts of an inference, kept on the disk until all are there, so that a killed run can go on."""

import fcntl
import hashlib
import json
import logging
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.atomic import atomic_path, remove_partial
from lib.errors import DataError

logger = logging.getLogger(__name__)

Columns = dict[str, NDArray[Any]]

_JOURNAL = "journal.json"


class PartFolder:
    """The folder of the parts of one output.

    A part gets its name when it is whole and on the disk, so whatever is there after a kill is finished. Parts of
    another model or other inputs are thrown away.

    Args:
        output: The file that the parts will make; the folder lies beside it and is hidden.
        identity: What the parts depend on; plain values.

    Raises:
        DataError: If another process works on the same output.
    """

    def __init__(self, output: Path, identity: Mapping[str, Any]) -> None:
        self.folder = output.with_name(f".{output.name}.parts")
        self._output = output
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise DataError(
                f"{output}: another process is writing it. Wait for it, or choose another --output."
            ) from None
        remove_partial(output)
        self._begin(json.dumps(identity, sort_keys=True))

    def _begin(self, identity: str) -> None:
        journal = self.folder / _JOURNAL
        if journal.exists() and journal.read_text(encoding="utf-8") == identity:
            return
        stale = list(self.folder.glob("*.npz"))
        for path in stale:
            path.unlink()
        if stale:
            logger.warning("%s: an earlier run had another model or input; it begins anew", self._output)
        with atomic_path(journal) as temporary:
            temporary.write_text(identity, encoding="utf-8")

    def is_done(self, number: int) -> bool:
        """Return whether a part is there and whole; one that the disk damaged is made again."""
        path = self._path(number)
        try:
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        except (OSError, zipfile.BadZipFile):
            return False

    def save(self, number: int, columns: Columns) -> None:
        """Keep a part: its columns by name, shape (n, ...) each."""
        with atomic_path(self._path(number)) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **columns)

    def load(self, number: int) -> Columns:
        """Return a part that is done."""
        with np.load(self._path(number), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def remove(self) -> None:
        """Forget the parts: the output is there."""
        shutil.rmtree(self.folder)
        self._lock.close()

    def release(self) -> None:
        """Let others go on with the parts."""
        self._lock.close()

    def _path(self, number: int) -> Path:
        return self.folder / f"part_{number:07d}.npz"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
