"""Baskets taken from a server with few requests."""

from collections.abc import Mapping
from concurrent.futures import Executor

import numpy as np

from lib.data.files.file_bytes import ByteArray, FileBytes

# A request costs a journey to the server and back, in which some ten kilobytes more would have come as well.
_LARGEST_GAP = 1 << 16


class FetchedBaskets:
    """What one thread has taken from one file and not yet used up."""

    def __init__(self) -> None:
        self._source: FileBytes | None = None
        self._baskets: dict[int, ByteArray] = {}

    def fetch(self, source: FileBytes, sizes: Mapping[int, int], executor: Executor) -> None:
        """Take baskets from a file, and forget all others unless these are all known.

        Args:
            source: The file.
            sizes: Bytes of each basket, by its place in the file.
            executor: Makes the requests where there are several.

        Raises:
            OSError: If they cannot be read.
        """
        known = self._baskets if source is self._source else {}
        missing = sorted(place for place in sizes if place not in known)
        if not missing:
            return
        self._source = source
        self._baskets = {place: known[place] for place in sizes if place in known}
        ranges = merged([(place, place + sizes[place]) for place in missing])
        for start, content in zip(
            (start for start, _ in ranges), executor.map(lambda ends: _read(source, *ends), ranges), strict=True
        ):
            inside = (place for place in missing if 0 <= place - start < len(content))
            self._baskets |= {place: content[place - start : place - start + sizes[place]] for place in inside}

    def get(self, source: FileBytes, place: int) -> ByteArray | None:
        """Return a basket, or None if it was not taken from this file."""
        return self._baskets.get(place) if source is self._source else None


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ascending ranges (start, stop) with those joined between which little lies."""
    joined: list[tuple[int, int]] = []
    for start, stop in ranges:
        if joined and start - joined[-1][1] <= _LARGEST_GAP:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _read(source: FileBytes, start: int, stop: int) -> ByteArray:
    memory = np.empty(stop - start, np.uint8)
    source.read(start, memory)
    return memory
