"""Memory-mapped files that may be cut while they are read, without an end of the process."""

import ctypes
import mmap
import threading
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.compiled import load_library

_SOURCE = Path(__file__).with_suffix(".c")
_lock = threading.Lock()


class GuardedMap:
    """A file in memory.

    What was cut off, or cannot be read, becomes zeros; whoever reads asks afterwards whether the map was ``lost``.

    Attributes:
        content: The bytes of the file; the map lasts as long as this array, or a part of it, is held.
    """

    def __init__(self, memory: mmap.mmap, content: NDArray[np.uint8], number: int) -> None:
        self.content = content
        self._memory = memory
        self._number = number
        self._library = load_library(_SOURCE)

    @property
    def lost(self) -> bool:
        """Whether zeros were found where the file was."""
        return self._library is not None and bool(self._library.is_lost(self._number))

    def release_pages(self) -> None:
        """Let go of the pages that were looked at; the next look brings them again."""
        self._memory.madvise(mmap.MADV_DONTNEED)


def map_guarded(descriptor: int, size: int) -> GuardedMap | None:
    """Map an open file of some bytes; None without a C compiler, or if the system refuses: read it by calls then."""
    library = load_library(_SOURCE)
    if library is None or not size:
        return None
    try:
        memory = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        content = np.frombuffer(memory, np.uint8)
    except (OSError, ValueError):
        return None
    with _lock:
        number = library.guard_map(ctypes.c_size_t(content.ctypes.data), ctypes.c_size_t(size))
    if number < 0:
        return None
    # Every part of an array holds the array itself, so this comes after the last reader and before the unmapping.
    weakref.finalize(content, library.release_map, number).atexit = False
    return GuardedMap(memory, content, number)
