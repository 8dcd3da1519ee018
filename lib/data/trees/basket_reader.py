"""Entry ranges of branches, straight from the baskets of files."""

import mmap
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.files.fetched_baskets import FetchedBaskets
from lib.data.files.file_bytes import ByteArray, FileBytes, LocalBytes, basket_hash, open_unchanged
from lib.data.files.location import InputPath, RemotePath
from lib.data.trees.decompression import (
    KEY_BYTES,
    DamagedBasketError,
    UnusualBasketError,
    basket_content,
    plain_content_place,
)
from lib.data.trees.layout import BranchLayout
from lib.data.trees.schema import FileSchema
from lib.data.trees.tree_reading import read_errors
from lib.errors import DataError

# Files beyond these are closed; systems allow a process some hundreds.
_MAX_OPEN = 32

# Requests to servers at once, for baskets that lie far from each other.
_REQUESTS = 8

# Keys are shorter; a basket that is larger than its content by more is something else.
_LONGEST_KEY = 4096

_NOTHING: ByteArray = np.empty(0, np.uint8)


@dataclass(eq=False)
class _Scratch:
    """The basket that a thread decoded last from one branch, and the memory for the next."""

    basket: tuple[int, int] = (-1, -1)
    content: ByteArray = field(default_factory=lambda: _NOTHING)
    memory: ByteArray = field(default_factory=lambda: _NOTHING)


class _OfThread(threading.local):
    """What each thread has for itself."""

    def __init__(self) -> None:
        self.scratch: dict[str, _Scratch] = {}
        self.packed = _NOTHING
        self.fetched = FetchedBaskets()
        self.read_seconds = 0.0


class BasketReader:
    """Reads baskets of checked files; may be used by several threads."""

    def __init__(self, files: Sequence[FileSchema]) -> None:
        self._files = files
        self._open: OrderedDict[int, FileBytes] = OrderedDict()
        self._lock = threading.Lock()
        self._of_thread = _OfThread()
        # Threads are begun when there is work for them, so local files cost none.
        self._requests = ThreadPoolExecutor(_REQUESTS, "request")

    def rows(self, file_index: int, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return entries of a branch that lie in one basket.

        Args:
            file_index: Position of the file in the list that was given.
            name: A branch that can be read directly.
            start: First entry.
            stop: One past the last entry; in the same basket.

        Returns:
            Values as they are stored, big-endian, shape (stop - start, width). Valid until the same thread reads
            the branch again.

        Raises:
            UnusualBasketError: If only the ROOT library can read the basket.
            DataError: If the file was replaced, cut or is gone, or the basket is damaged.
        """
        layout = self._files[file_index].layout.branches[name]
        number = layout.basket_at(start)
        inside = layout.row_bytes(number, start, stop)
        with self._naming(file_index, name, number):
            content = self._plain_rows(file_index, name, number, inside)
            if content is None:
                content = self._content(file_index, name, number)[inside]
        return content.view(np.dtype(layout.dtype)).reshape(stop - start, -1)

    def mapped_rows(self, file_index: int, name: str, start: int, stop: int) -> NDArray[Any] | None:
        """Return entries like ``rows``, but as they lie in a memory-mapped file.

        Args:
            file_index: See ``rows``.
            name: See ``rows``.
            start: See ``rows``.
            stop: See ``rows``.

        Returns:
            Values that count only if the file is not ``is_lost`` after they were used; None for what is compressed,
            has recorded hashes, lies on a server or cannot be mapped.
        """
        layout = self._files[file_index].layout.branches[name]
        number = layout.basket_at(start)
        inside = layout.row_bytes(number, start, stop)
        with self._naming(file_index, name, number):
            source = self._source(file_index)
            content = _map_of(source)
            place = None if content is None else self._plain_place(source, layout, number)
        if content is None or place is None or place + inside.stop > len(content):
            return None
        rows = content[place + inside.start : place + inside.stop]
        with self._reading():
            _bring_pages(rows)
        return rows.view(np.dtype(layout.dtype)).reshape(stop - start, -1)

    def is_lost(self, file_index: int) -> bool:
        """Return whether a mapped file was cut, or could not be read, since it was opened."""
        source = self._source(file_index)
        return isinstance(source, LocalBytes) and source.map is not None and source.map.lost

    def fetch(self, file_index: int, names: Sequence[str], start: int, stop: int) -> None:
        """Take the baskets of an entry range from a server, for this thread to read next.

        A journey to a server and back for every basket would take more time than the bytes. Files on disks are read
        when they are needed.

        Args:
            file_index: See ``rows``.
            names: Branches; those that cannot be read directly are passed over.
            start: First entry.
            stop: One past the last entry.

        Raises:
            DataError: If the server does not answer, or the file was replaced.
        """
        file = self._files[file_index]
        if not isinstance(file.path, RemotePath):
            return
        sizes: dict[int, int] = {}
        for layout in (file.layout.branches[name] for name in names):
            if layout.is_direct:
                chosen = slice(layout.basket_at(start), layout.basket_at(stop - 1) + 1)
                sizes |= zip(layout.seeks[chosen].tolist(), layout.num_bytes[chosen].tolist(), strict=True)
        with read_errors(file.path, f"entries {start} to {stop - 1}"), self._reading():
            self._of_thread.fetched.fetch(self._source(file_index), sizes, self._requests)

    def release_pages(self, file_index: int) -> None:
        """Let go of what was read of a mapped file, which is not going to be read again soon."""
        source = self._source(file_index)
        if isinstance(source, LocalBytes) and source.map is not None:
            source.map.release_pages()

    def take_read_seconds(self) -> float:
        """Return how long this thread has waited for bytes of files since it asked last."""
        seconds, self._of_thread.read_seconds = self._of_thread.read_seconds, 0.0
        return seconds

    def close(self) -> None:
        """Let go of the files; arrays that were handed out stay valid."""
        with self._lock:
            self._open.clear()
        self._of_thread = _OfThread()
        self._requests.shutdown()
        self._requests = ThreadPoolExecutor(_REQUESTS, "request")

    def _plain_rows(self, file_index: int, name: str, number: int, inside: slice) -> ByteArray | None:
        """Return some bytes of a basket that is not compressed, read without the others; None for all else."""
        layout = self._files[file_index].layout.branches[name]
        source = self._source(file_index)
        place = self._plain_place(source, layout, number)
        if place is None:
            return None
        scratch = self._scratch(name)
        scratch.basket = (-1, -1)
        scratch.memory = _at_least(scratch.memory, inside.stop - inside.start)
        content = scratch.memory[: inside.stop - inside.start]
        with self._reading():
            source.read(place + inside.start, content)
        return content

    def _plain_place(self, source: FileBytes, layout: BranchLayout, number: int) -> int | None:
        """Return where the content of a basket on a disk begins if it can be used as it lies there."""
        length, num_bytes = layout.content_bytes(number), int(layout.num_bytes[number])
        if len(layout.hashes) or not isinstance(source, LocalBytes) or not 0 < num_bytes - length < _LONGEST_KEY:
            return None
        seek = int(layout.seeks[number])
        key = np.empty(KEY_BYTES, np.uint8)
        source.read(seek, key)
        place = plain_content_place(key, num_bytes, length)
        return None if place is None else seek + place

    def _content(self, file_index: int, name: str, number: int) -> ByteArray:
        layout = self._files[file_index].layout.branches[name]
        scratch = self._scratch(name)
        if scratch.basket == (file_index, number):
            return scratch.content
        scratch.basket = (-1, -1)
        source, place, size = self._source(file_index), int(layout.seeks[number]), int(layout.num_bytes[number])
        mapped = _map_of(source)
        if mapped is not None and place + size <= len(mapped):
            with self._reading():
                _bring_pages(mapped[place : place + size])
            try:
                scratch.content = _decoded(mapped[place : place + size], layout, number, scratch)
            except (DamagedBasketError, UnusualBasketError):
                # Zeros in place of what was cut off look like damage of any kind.
                if _map_of(source) is not None:
                    raise
            mapped = _map_of(source)
        if mapped is None or place + size > len(mapped):
            scratch.content = _decoded(self._packed(source, place, size), layout, number, scratch)
        scratch.basket = (file_index, number)
        return scratch.content

    def _packed(self, source: FileBytes, place: int, size: int) -> ByteArray:
        """Return a basket that is not mapped; valid until this thread asks for another."""
        basket = self._of_thread.fetched.get(source, place)
        if basket is not None:
            return basket
        memory = self._of_thread.packed = _at_least(self._of_thread.packed, size)
        with self._reading():
            source.read(place, memory[:size])
        return memory[:size]

    def _scratch(self, name: str) -> _Scratch:
        return self._of_thread.scratch.setdefault(name, _Scratch())

    def _source(self, file_index: int) -> FileBytes:
        file = self._files[file_index]
        with self._lock:
            source = self._open.get(file_index)
        if source is None:
            # Without the lock: a server may take its time, and other threads have other files.
            with read_errors(file.path):
                source = open_unchanged(file.path, file.layout)
        with self._lock:
            source = self._open.setdefault(file_index, source)
            self._open.move_to_end(file_index)
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)
        return source

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Count the time within the block as waiting for bytes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._of_thread.read_seconds += time.perf_counter() - start

    @contextmanager
    def _naming(self, file_index: int, name: str, number: int) -> Iterator[None]:
        """Say of what cannot be read where it lies."""
        try:
            yield
        except (DamagedBasketError, OSError, EOFError) as error:
            file = self._files[file_index]
            first, stop = file.layout.branches[name].edges[number : number + 2]
            raise unreadable(file.path, repr(file.name_in_file(name)), int(first), int(stop), str(error)) from error


def unreadable(path: InputPath, branches: str, start: int, stop: int, cause: str) -> DataError:
    """Return the error that names the entries [start, stop) of branches of a file."""
    return DataError(
        f"{path}: branch {branches}, entries {start} to {stop - 1} cannot be read ({cause}). "
        "The file is damaged: copy or make it again, or take it out of the list."
    )


def _map_of(source: FileBytes) -> ByteArray | None:
    """Return the file in memory, if it is there and nothing of it was lost."""
    if not isinstance(source, LocalBytes) or source.map is None or source.map.lost:
        return None
    return source.map.content


def _decoded(basket: ByteArray, layout: BranchLayout, number: int, scratch: _Scratch) -> ByteArray:
    """Return the content of a basket in memory of the thread; raises ``DamagedBasketError``."""
    if len(layout.hashes) and basket_hash(basket) != int(layout.hashes[number]):
        raise DamagedBasketError("its content is not what it was when its hash was recorded")
    length = layout.content_bytes(number)
    scratch.memory = _at_least(scratch.memory, length)
    content = basket_content(basket, length, scratch.memory)
    if not np.may_share_memory(content, scratch.memory):
        # Not compressed: what it lies in may be lost, or used for the next basket.
        scratch.memory[:length] = content
    return scratch.memory[:length]


def _bring_pages(content: ByteArray) -> None:
    """Look at each page of a mapped file, so that what waits for the disk is this and not what uses the bytes."""
    if len(content):
        content[:: mmap.PAGESIZE].max()


def _at_least(memory: ByteArray, size: int) -> ByteArray:
    """Return memory of some size or more, the given one if it is large enough."""
    return memory if len(memory) >= size else np.empty(size, np.uint8)
