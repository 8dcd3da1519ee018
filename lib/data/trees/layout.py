"""Where the values of a tree lie in its file: enough to read them without asking the ROOT library again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

IndexArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BranchLayout:
    """One branch of a tree.

    Attributes:
        type_name: The type as ROOT calls it.
        dtype: Stored number type with byte order, such as ``>f4``; empty when the branch holds no plain numbers.
        shape: Shape of one entry; ``()`` for a plain number; None when entries differ in length.
        edges: First entry of each compressed basket, and the number of entries, ascending.
        seeks: Place of each basket in the file in bytes; empty when only the ROOT library can read the branch.
        num_bytes: Bytes of each basket with its key, as many as ``seeks``.
        hashes: XXH3 of the bytes of each basket, as many as ``seeks``; empty when they have not been recorded.
        name_in_file: Its name in the file where ``data.branches`` gives it another.
    """

    type_name: str
    dtype: str
    shape: tuple[int, ...] | None
    edges: IndexArray
    seeks: IndexArray = field(default_factory=lambda: np.empty(0, np.int64))
    num_bytes: IndexArray = field(default_factory=lambda: np.empty(0, np.int64))
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    name_in_file: str | None = None

    @property
    def is_direct(self) -> bool:
        """Whether baskets can be read from the file as they lie."""
        return len(self.seeks) > 0

    @property
    def width(self) -> int | None:
        """Numbers per entry, None when entries differ."""
        return None if self.shape is None else int(np.prod(self.shape, dtype=np.int64))

    def basket_at(self, entry: int) -> int:
        """Return the number of the basket that holds an entry."""
        return int(np.searchsorted(self.edges, entry, side="right")) - 1

    def row_bytes(self, basket: int, start: int, stop: int) -> slice:
        """Return where the entries [start, stop) lie in the content of their basket."""
        first, size = int(self.edges[basket]), self._entry_bytes
        return slice((start - first) * size, (stop - first) * size)

    def content_bytes(self, basket: int) -> int:
        """Return the bytes of the content of a basket, without compression."""
        return int(self.edges[basket + 1] - self.edges[basket]) * self._entry_bytes

    @property
    def _entry_bytes(self) -> int:
        return (self.width or 0) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False)
class TreeLayout:
    """A tree in a file.

    Attributes:
        size: Bytes of the file when it was looked at.
        mtime_ns: Its time of change then, or what stands for it (``lib.data.files.file_bytes.FileState``).
        num_entries: Entries of the tree.
        branches: Its branches by name.
    """

    size: int
    mtime_ns: int
    num_entries: int
    branches: dict[str, BranchLayout]

    def renamed(self, names: Mapping[str, str]) -> "TreeLayout":
        """Return the layout with further names for its branches.

        Args:
            names: Name in the file by the name that is used here; those that the file has not are left out.
        """
        known = {name: stored for name, stored in names.items() if stored in self.branches}
        others = {name: branch for name, branch in self.branches.items() if name not in names}
        return replace(
            self,
            branches=others | {name: replace(self.branches[it], name_in_file=it) for name, it in known.items()},
        )
