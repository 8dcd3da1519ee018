"""The border to the ROOT library: opening files, reading entry ranges, naming what fails."""

import io
import lzma
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cramjam
import numpy as np
import uproot
from numpy.typing import NDArray
from uproot.deserialization import DeserializationError

from lib.data.files.file_bytes import FileBytes, SeekableBytes, open_bytes
from lib.data.files.location import InputPath
from lib.data.files.paths import nothing_found
from lib.errors import DataError

FloatArray = NDArray[np.float32]

# Damaged files raise almost anything inside the ROOT library and its decompressors, which check little.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    RecursionError,
    MemoryError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    cramjam.DecompressionError,
    DeserializationError,
)


# Descriptions of trees come in some small pieces; on a server each would be a journey.
_BUFFER_BYTES = 1 << 18


@contextmanager
def read_errors(path: InputPath, place: str = "") -> Iterator[None]:
    """Turn whatever the ROOT library raises into a ``DataError`` that names file and place.

    Args:
        path: The file that is read.
        place: Tree, branch and entries, for the message.
    """
    try:
        yield
    except _DAMAGE as error:
        where = f"{path}: {place}" if place else f"{path}:"
        cause = " ".join(str(error).split())[:200]
        raise DataError(
            f"{where} cannot be read ({type(error).__name__}: {cause}). The file may be damaged, incomplete or still "
            "being written: copy or make it again, or take it out of the list."
        ) from error


def open_file(path: InputPath) -> uproot.ReadOnlyDirectory:
    """Open a ROOT file; raises ``DataError`` for what is no ROOT file or cannot be had."""
    return as_root_file(path, open_source(path))


def open_source(path: InputPath) -> FileBytes:
    """Open any file; raises ``DataError`` if there is none."""
    try:
        return open_bytes(path)
    except FileNotFoundError:
        raise DataError(nothing_found(str(path))) from None


def as_root_file(path: InputPath, opened: FileBytes) -> uproot.ReadOnlyDirectory:
    """Return an open file as the ROOT library sees it; raises ``DataError`` for what is no ROOT file."""
    if not opened.state.size:
        raise DataError(f"{path}: the file is empty (0 bytes). Make it again or take it out of the list.")
    file = io.BufferedReader(SeekableBytes(opened), _BUFFER_BYTES)
    magic = file.read(4)
    if magic != b"root":
        raise DataError(f"{path}: not a ROOT file (starts with {magic!r}). Take it out of the list.")
    # Its own handlers map files on disks, or know nothing of our patience with servers.
    return uproot.open(file, use_threads=False)


def read_branch(tree: uproot.TTree, path: InputPath, name: str, start: int, stop: int) -> NDArray[Any]:
    """Return the entries [start, stop) of a branch whose entries have one length.

    Args:
        tree: An open tree.
        path: Its file, for messages.
        name: The branch.
        start: First entry.
        stop: One past the last entry.

    Returns:
        Native-endian values in the type in which they are stored, shape (stop - start, ...) if the file has as many.

    Raises:
        DataError: If the entries cannot be read.
    """
    with read_errors(path, f"tree {tree.name!r}, branch {name!r}, entries {start} to {stop - 1}"):
        values = tree[name].array(entry_start=start, entry_stop=stop, library="np", array_cache=None)
        # Entries of variable length, here all of the same one.
        return np.stack(values.tolist()) if values.dtype == np.object_ and len(values) else values


class TreeCache:
    """Open trees, lent to one thread at a time, the longest unused closed first.

    The ROOT library does not say that one tree may be read by several threads, so a second thread gets its own.
    """

    def __init__(self, tree_name: str, max_idle: int = 32) -> None:
        self._tree_name = tree_name
        self._max_idle = max_idle
        self._idle: list[tuple[InputPath, uproot.ReadOnlyDirectory, uproot.TTree]] = []
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self, path: InputPath) -> Iterator[uproot.TTree]:
        """Lend the tree of a file; raises ``DataError`` when the file cannot be opened."""
        with self._lock:
            position = next((i for i, (idle, _, _) in enumerate(self._idle) if idle == path), None)
            entry = None if position is None else self._idle.pop(position)
        if entry is None:
            with read_errors(path):
                file = open_file(path)
                entry = (path, file, file[self._tree_name])
        yield entry[2]
        with self._lock:
            self._idle.append(entry)
            expired = self._idle[: -self._max_idle]
            self._idle = self._idle[-self._max_idle :]
        for _, file, _ in expired:
            file.close()

    def close(self) -> None:
        """Close all trees that are not lent."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, file, _ in idle:
            file.close()
