"""Entry ranges of branches, straight from the baskets of memory-mapped files."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.decompression import ByteArray, DamagedBasketError, basket_content
from lib.data.file_map import basket_hash, map_file
from lib.data.layout import BranchLayout
from lib.data.schema import FileSchema
from lib.errors import DataError

# Maps beyond these are closed; they cost address space, and a file that is open cannot be replaced on some systems.
_MAX_OPEN = 32

_NOTHING: ByteArray = np.empty(0, np.uint8)


@dataclass(eq=False)
class _Scratch:
    """The basket that a thread decoded last from one branch, and the memory for the next."""

    basket: tuple[int, int]
    content: ByteArray
    memory: ByteArray


class _ScratchOfBranches(threading.local):
    """What each thread has for itself."""

    def __init__(self) -> None:
        self.by_name: dict[str, _Scratch] = {}


class BasketReader:
    """Reads baskets of checked files; may be used by several threads."""

    def __init__(self, files: Sequence[FileSchema]) -> None:
        self._files = files
        self._maps: OrderedDict[int, ByteArray] = OrderedDict()
        self._lock = threading.Lock()
        self._of_thread = _ScratchOfBranches()

    def rows(self, file_index: int, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return entries of a branch that lie in one basket.

        Args:
            file_index: Position of the file in the list that was given.
            name: A branch that can be read directly.
            start: First entry.
            stop: One past the last entry; in the same basket.

        Returns:
            Values as they are stored, big-endian, shape (stop - start, width). Valid until the same thread reads
            another basket of the branch.

        Raises:
            UnusualBasketError: If only the ROOT library can read the basket.
            DataError: If the file was replaced or the basket is damaged.
        """
        layout = self._files[file_index].layout.branches[name]
        number = int(np.searchsorted(layout.edges, start, side="right")) - 1
        first, last = int(layout.edges[number]), int(layout.edges[number + 1])
        content = self._content(file_index, name, number, layout)
        values = content.view(np.dtype(layout.dtype)).reshape(last - first, -1)
        return values[start - first : stop - first]

    def close(self) -> None:
        """Let go of the files; arrays that were handed out stay valid."""
        with self._lock:
            self._maps.clear()
        self._of_thread = _ScratchOfBranches()

    def _content(self, file_index: int, name: str, number: int, layout: BranchLayout) -> ByteArray:
        scratch = self._scratch(name)
        if scratch.basket == (file_index, number):
            return scratch.content
        entries = int(layout.edges[number + 1] - layout.edges[number])
        length = entries * (layout.width or 0) * np.dtype(layout.dtype).itemsize
        if len(scratch.memory) < length:
            scratch.memory = np.empty(length, np.uint8)
        scratch.basket = (-1, -1)
        seek = int(layout.seeks[number])
        basket = self._map(file_index)[seek : seek + int(layout.num_bytes[number])]
        try:
            if len(layout.hashes) and basket_hash(basket) != int(layout.hashes[number]):
                raise DamagedBasketError("its content is not what it was when its hash was recorded")
            scratch.content = basket_content(basket, length, scratch.memory)
        except DamagedBasketError as error:
            first, last = layout.edges[number], layout.edges[number + 1] - 1
            raise DataError(
                f"{self._files[file_index].path}: branch {name!r}, entries {first} to {last} cannot be read ({error}). "
                "The file is damaged: copy or make it again, or take it out of the list."
            ) from error
        scratch.basket = (file_index, number)
        return scratch.content

    def _scratch(self, name: str) -> _Scratch:
        return self._of_thread.by_name.setdefault(name, _Scratch((-1, -1), _NOTHING, _NOTHING))

    def _map(self, file_index: int) -> ByteArray:
        with self._lock:
            if file_index not in self._maps:
                self._maps[file_index] = map_file(self._files[file_index].path, self._files[file_index].layout)
            self._maps.move_to_end(file_index)
            if len(self._maps) > _MAX_OPEN:
                self._maps.popitem(last=False)
            return self._maps[file_index]
