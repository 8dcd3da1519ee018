"""Ranges of bytes of input files, wherever they lie."""

import io
import os
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from lib.data.files.bus_guard import GuardedMap, map_guarded
from lib.data.files.location import HTTP_SCHEMES, XROOTD_SCHEMES, InputPath
from lib.data.trees.layout import TreeLayout
from lib.errors import DataError, nearest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ByteArray = NDArray[np.uint8]


@dataclass(frozen=True)
class FileState:
    """What tells one state of a file from another.

    Attributes:
        size: Bytes.
        mtime_ns: Time of change; for a file on an HTTP server a number made of what the server says of its state.
    """

    size: int
    mtime_ns: int


class FileBytes(Protocol):
    """An open file; may be used by several threads at once, and is closed when nobody holds it any more.

    Attributes:
        state: Of the file when it was opened.
    """

    state: FileState

    def read(self, place: int, into: ByteArray) -> None:
        """Fill an array with the bytes from a place on.

        Raises:
            OSError: If they cannot be read, with the reason.
            EOFError: If the file ends before.
        """
        ...


class LocalBytes:
    """A file on a disk, read by system calls: one that is cut, or whose disk fails, is an error like any other.

    Attributes:
        state: See ``FileBytes``.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        # Closing is left to the collector: a number that another thread still reads from may soon be another file.
        weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        self.state = FileState(status.st_size, status.st_mtime_ns)

    @cached_property
    def map(self) -> GuardedMap | None:
        """The file in memory, where that is safe."""
        return map_guarded(self._descriptor, self.state.size)

    def read(self, place: int, into: ByteArray) -> None:
        """See ``FileBytes``."""
        done = 0
        while done < len(into):
            count = os.preadv(self._descriptor, [into[done:].data], place + done)
            if count == 0:
                raise EOFError(f"the file ends at byte {place + done}: it was cut, or is still being written")
            done += count


def open_bytes(path: InputPath) -> FileBytes:
    """Open a file.

    Raises:
        OSError: If it cannot be opened; ``lib.data.trees.tree_reading.read_errors`` makes a message of it.
        DataError: If there is nothing that could read from such a server.
    """
    if isinstance(path, Path):
        return LocalBytes(path)
    # Libraries of servers that nobody uses need not be there.
    if path.scheme in HTTP_SCHEMES:
        from lib.data.files.http_file import HttpFile  # noqa: PLC0415

        return HttpFile(path)
    if path.scheme in XROOTD_SCHEMES:
        from lib.data.files.xrootd_file import XrootdFile  # noqa: PLC0415

        return XrootdFile(path)
    known = (*XROOTD_SCHEMES, *HTTP_SCHEMES)
    raise DataError(f"{path}: {path.scheme}:// cannot be read; nearest: {nearest(path.scheme, known)}.")


def open_unchanged(path: InputPath, layout: TreeLayout) -> FileBytes:
    """Open a file whose layout is known; raises ``DataError`` if it has changed since, and ``OSError``."""
    try:
        opened = open_bytes(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; it was there at the start.") from None
    if opened.state != FileState(layout.size, layout.mtime_ns):
        raise DataError(f"{path}: the file changed while it was in use. Start again.")
    return opened


def basket_hash(basket: ByteArray) -> int:
    """Return the hash of a basket's bytes; fast enough to be taken at every reading."""
    return xxhash.xxh3_64_intdigest(basket.data)


class SeekableBytes(io.RawIOBase):
    """An open file as Python's own files are, for libraries that want one."""

    def __init__(self, source: FileBytes) -> None:
        self._source = source
        self._place = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place; see ``io.IOBase.seek``."""
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._source.state.size}
        self._place = max(0, origins[whence] + offset)
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer as far as the file reaches; return the number of bytes."""
        memory = np.frombuffer(memoryview(buffer), np.uint8)
        count = max(0, min(len(memory), self._source.state.size - self._place))
        self._source.read(self._place, memory[:count])
        self._place += count
        return count
