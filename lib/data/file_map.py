"""Input files in memory, as they lie on the disk."""

import mmap
from pathlib import Path

import numpy as np
import xxhash

from lib.data.decompression import ByteArray
from lib.data.layout import TreeLayout
from lib.data.tree_reading import read_errors
from lib.errors import DataError


def map_file(path: Path, layout: TreeLayout) -> ByteArray:
    """Return the bytes of a file, mapped.

    Args:
        path: The file.
        layout: What was found in it.

    Raises:
        DataError: If it is not the file that was looked at.
    """
    check_unchanged(path, layout)
    with read_errors(path), path.open("rb") as opened:
        return np.frombuffer(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def check_unchanged(path: Path, layout: TreeLayout) -> None:
    """Refuse a file that is no longer the one that was looked at; raises ``DataError``."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; it was there at the start.") from None
    if (status.st_size, status.st_mtime_ns) != (layout.size, layout.mtime_ns):
        raise DataError(f"{path}: the file changed while it was in use. Start again.")


def basket_hash(basket: ByteArray) -> int:
    """Return the hash of a basket's bytes; fast enough to be taken at every reading."""
    return xxhash.xxh3_64_intdigest(basket.data)
