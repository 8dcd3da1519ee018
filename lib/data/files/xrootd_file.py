"""Files on XRootD servers."""

import atexit
import os
import threading
import warnings
import weakref
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from lib.data.files.file_bytes import ByteArray, FileState
from lib.data.files.location import RemotePath
from lib.data.files.persistence import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, PassingError, RemoteFileError, persist

try:
    from XRootD import client
    from XRootD.client.flags import DirListFlags, OpenFlags, StatInfoFlags
except ImportError:
    client = None
else:
    # At the end the client looks at every object of the process, some of which warn of being looked at.
    atexit.register(warnings.simplefilter, "ignore", FutureWarning)

# The client's own patience, of minutes, would add up with ours.
_SETTINGS = {"ConnectionWindow": CONNECT_TIMEOUT_S, "ConnectionRetry": 1, "StreamErrorWindow": 1}
# Answers that another attempt may change (XProtocol.hh): input/output error, no server, overloaded, timer expired.
_PASSING = (3007, 3015, 3024, 3025)
_ERROR_RESPONSE = 400
_ADVICE = {
    3010: "Check your rights, and that the server exports this folder.",
    3011: "Check the URL; most servers want two slashes before the path.",
    3016: "End the name of a folder by a slash, or give a pattern.",
}


@dataclass(frozen=True)
class RemoteEntry:
    """A file or folder that a server lists."""

    path: RemotePath
    is_folder: bool


class XrootdFile:
    """A file on an XRootD server (``lib.data.files.file_bytes.FileBytes``)."""

    def __init__(self, path: RemotePath) -> None:
        """Open a file.

        Raises:
            RemoteFileError: If it cannot be had, or the client is not installed.
        """
        _require_client(path)
        self._path = path
        self._lock = threading.Lock()
        self._file, self.state = persist(path, self._open)
        self._finalizer = weakref.finalize(self, _close, self._file)

    def read(self, place: int, into: ByteArray) -> None:
        """See ``FileBytes``; raises ``RemoteFileError``."""
        if len(into):
            persist(self._path, lambda: self._fill(place, into))

    def _fill(self, place: int, into: ByteArray) -> None:
        content = _answer(self._path, self._opened().read(place, len(into), timeout=READ_TIMEOUT_S))
        if len(content) != len(into):
            raise PassingError(f"the answer ended after {len(content)} of {len(into)} bytes")
        into[:] = np.frombuffer(content, np.uint8)

    def _opened(self) -> Any:
        """Return the open file, opened again if a connection was lost since."""
        with self._lock:
            if not self._file.is_open():
                file, state = self._open()
                if state != self.state:
                    raise RemoteFileError(f"{self._path}: the file changed while it was in use. Start again.")
                self._finalizer.detach()
                self._file, self._finalizer = file, weakref.finalize(self, _close, file)
            return self._file

    def _open(self) -> tuple[Any, FileState]:
        file = client.File()
        _answer(self._path, file.open(self._path.url, OpenFlags.READ, timeout=READ_TIMEOUT_S))
        status = _answer(self._path, file.stat(timeout=READ_TIMEOUT_S))
        return file, FileState(status.size, status.modtime * 10**9)


def list_xrootd(folder: RemotePath) -> list[RemoteEntry]:
    """Return what a folder on an XRootD server holds; raises ``RemoteFileError``."""
    _require_client(folder)
    place = folder.url.removeprefix(folder.server).removeprefix("/") or "/"
    files = client.FileSystem(folder.server)

    def ask() -> Any:
        return _answer(folder, files.dirlist(place, DirListFlags.STAT, timeout=READ_TIMEOUT_S))

    return [
        RemoteEntry(
            RemotePath(f"{folder.url.rstrip('/')}/{entry.name}"), bool(entry.statinfo.flags & StatInfoFlags.IS_DIR)
        )
        for entry in persist(folder, ask)
    ]


def match_xrootd(pattern: RemotePath) -> list[RemotePath]:
    """Return the files on an XRootD server that match a pattern; ``**`` descends. Raises ``RemoteFileError``."""
    parts = pattern.url.split("/")
    first = next(index for index, part in enumerate(parts) if _is_pattern(part))
    return sorted(set(_matches(RemotePath("/".join(parts[:first])), parts[first:])), key=str)


def _matches(folder: RemotePath, parts: list[str]) -> list[RemotePath]:
    found: list[RemotePath] = []
    head, rest = parts[0], parts[1:]
    for entry in list_xrootd(folder):
        if head == "**":
            # Two stars stand for any number of folders, none included.
            found += _matches(entry.path, parts) if entry.is_folder else []
        elif fnmatchcase(entry.path.name, head):
            if rest and entry.is_folder:
                found += _matches(entry.path, rest)
            elif not rest and not entry.is_folder:
                found.append(entry.path)
    return found + (_matches(folder, rest) if head == "**" and rest else [])


def _is_pattern(text: str) -> bool:
    # A question mark begins the query of a URL.
    return "*" in text or "[" in text


def _require_client(path: RemotePath) -> None:
    if client is None:
        raise RemoteFileError(f"{path}: reading root:// needs the XRootD client. Run: pip install 'xec-ml[remote]'.")
    for name, value in _SETTINGS.items():
        if f"XRD_{name.upper()}" not in os.environ:
            client.EnvPutInt(name, value)


def _answer(path: RemotePath, answer: tuple[Any, Any]) -> Any:
    """Return what a server said.

    Raises:
        PassingError: If it may say something else later.
        RemoteFileError: If it refuses.
    """
    status, content = answer
    if status.ok:
        return content
    said = " ".join(status.message.split()).removeprefix("[ERROR] ")
    if status.code != _ERROR_RESPONSE or status.errno in _PASSING:
        raise PassingError(said)
    raise RemoteFileError(f"{path}: {said}. {_ADVICE.get(status.errno, 'Check the URL.')}")


def _close(file: Any) -> None:
    if file.is_open():
        file.close()
