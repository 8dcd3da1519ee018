"""ZLIB data into memory that is used again, by libdeflate."""

import ctypes
import threading
from functools import cache

import deflate
import deflate._deflate
import numpy as np
from numpy.typing import NDArray

_FAULTS = {1: "bad data", 2: "fewer bytes than expected", 3: "more bytes than expected"}


def decompress_zlib(packed: NDArray[np.uint8], into: NDArray[np.uint8]) -> None:
    """Fill an array with what a ZLIB stream holds, which must be just as much.

    The Python interface of the library returns memory of its own, which costs a copy and, for each basket, thousands
    of new pages. So its function is called directly where the extension shows it.

    Raises:
        deflate.DeflateError: If the stream is damaged, or holds another number of bytes.
    """
    library = _library()
    if library is None:
        content = deflate.zlib_decompress(packed.data, len(into))
        if len(content) != len(into):
            raise deflate.DeflateError(f"{len(content)} bytes where {len(into)} are expected")
        into[:] = np.frombuffer(content, np.uint8)
        return
    if _of_thread.decompressor is None:
        _of_thread.decompressor = _Decompressor(library)
    # Without a place for the number of bytes, the library takes any other number for a fault.
    fault = library.libdeflate_zlib_decompress(
        _of_thread.decompressor.place, packed.ctypes.data, len(packed), into.ctypes.data, len(into), None
    )
    if fault:
        raise deflate.DeflateError(_FAULTS.get(fault, f"fault {fault}"))


class _Decompressor:
    """The working memory of the library, which no two threads may use at once."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.place: int | None = library.libdeflate_alloc_decompressor()
        if self.place is None:
            raise MemoryError

    def __del__(self) -> None:
        self._library.libdeflate_free_decompressor(self.place)


class _OfThread(threading.local):
    decompressor: _Decompressor | None = None


_of_thread = _OfThread()


@cache
def _library() -> ctypes.CDLL | None:
    """Return the library inside the extension module, or None where it is hidden."""
    try:
        library = ctypes.CDLL(deflate._deflate.__file__)
        decompress, allocate = library.libdeflate_zlib_decompress, library.libdeflate_alloc_decompressor
        free = library.libdeflate_free_decompressor
    except (OSError, AttributeError):
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    decompress.restype, decompress.argtypes = ctypes.c_int, (pointer, pointer, size, pointer, size, pointer)
    allocate.restype, allocate.argtypes = pointer, ()
    free.restype, free.argtypes = None, (pointer,)
    return library
