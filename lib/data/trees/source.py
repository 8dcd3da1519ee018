"""Raw events from ROOT files: entry ranges of the planned branches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import EVENT, RUN
from lib.data.pools.read_ahead import map_ahead
from lib.data.trees.basket_reader import BasketReader
from lib.data.trees.decompression import UnusualBasketError
from lib.data.trees.layout import BranchLayout
from lib.data.trees.schema import BRANCH_WIDTHS, BranchPlan, FileSchema
from lib.data.trees.tree_reading import FloatArray, TreeCache, read_branch
from lib.errors import DataError
from lib.geometry.sensors import NUM_SENSORS


@dataclass(frozen=True, eq=False)
class RawChunk:
    """Events as they stand in the file.

    Attributes:
        npho: Photons per sensor, shape (n, 4760), float32; 1e10 where there is no value.
        time: Seconds per sensor, shape (n, 4760), float32; 1e10 where there is no value.
        truth: Planned truth by branch name, shape (n, width), float32.
        run: Run number, shape (n,), int64; the position of the file among all files where the tree has none.
        event: Event number, shape (n,), int64; the entry number where the tree has none.
    """

    npho: FloatArray
    time: FloatArray
    truth: dict[str, FloatArray]
    run: NDArray[np.int64]
    event: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.npho)


@dataclass(frozen=True, eq=False)
class SensorPiece:
    """Readings of consecutive events, as they lie in the file or in memory that is used again.

    Attributes:
        start: Entry of the first event.
        npho: Photons per sensor, shape (n, 4760), float32 of either byte order.
        time: Seconds per sensor, shape (n, 4760), float32 of the same byte order.
    """

    start: int
    npho: NDArray[np.float32]
    time: NDArray[np.float32]

    @property
    def stop(self) -> int:
        """One past the entry of the last event."""
        return self.start + len(self.npho)


class EventReader:
    """Reads entry ranges of checked files; may be used by several threads."""

    def __init__(self, files: Sequence[FileSchema], plan: BranchPlan) -> None:
        self._files = files
        self._plan = plan
        self._baskets = BasketReader(files)
        self._trees = TreeCache(plan.tree_name)

    def read(self, file_index: int, start: int, stop: int) -> RawChunk:
        """Return the events [start, stop) of a file.

        Args:
            file_index: Position of the file in the list that was given.
            start: First entry.
            stop: One past the last entry.

        Raises:
            DataError: Naming file, branch and entries if they cannot be read or are not what was checked.
        """
        sensors = (self._plan.npho_branch, self._plan.time_branch)
        self._baskets.fetch(file_index, [*sensors, *self._number_branches(file_index)], start, stop)
        truth, run, event = self.read_numbers(file_index, start, stop)
        npho, time = (self.read_float32(file_index, name, start, stop, NUM_SENSORS) for name in sensors)
        return RawChunk(npho, time, truth, run, event)

    def read_numbers(
        self, file_index: int, start: int, stop: int
    ) -> tuple[dict[str, FloatArray], NDArray[np.int64], NDArray[np.int64]]:
        """Return truth, run and event of the events [start, stop) of a file, as in ``RawChunk``."""
        file = self._files[file_index]
        self._baskets.fetch(file_index, self._number_branches(file_index), start, stop)
        truth = {
            name: self.read_float32(file_index, name, start, stop, BRANCH_WIDTHS[name])
            for name in self._plan.truth_branches
        }
        run, event = np.full(stop - start, file_index), np.arange(start, stop)
        if file.has_number(RUN):
            run = self._read_int64(file_index, RUN, start, stop)
        if file.has_number(EVENT):
            event = self._read_int64(file_index, EVENT, start, stop)
        return truth, run, event

    def read_whole(self, file_index: int, name: str) -> NDArray[np.float64]:
        """Return a branch of numbers of a whole file, shape (entries, width); raises ``DataError`` like ``read``."""
        file = self._files[file_index]
        into = np.empty((file.num_entries, file.layout.branches[name].width or 1))
        self._baskets.fetch(file_index, [name], 0, file.num_entries)
        self._read_into(into, file_index, name, 0)
        return into

    def sensor_pieces(self, file_index: int, start: int, stop: int) -> Iterator[SensorPiece]:
        """Yield the readings of the events [start, stop) of a file, cut where baskets end.

        A piece is valid until the next one is asked for in the same thread. If its file is cut while it is used, the
        piece comes once more, as far as it can still be read; what was made of it before counts for nothing.

        Raises:
            DataError: Like ``read``.
        """
        branches = (self._plan.npho_branch, self._plan.time_branch)
        for first, last in pairwise(self._cuts(file_index, branches, start, stop)):
            self._baskets.fetch(file_index, branches, first, last)
            mapped = self._mapped_piece(file_index, first, last)
            if mapped is not None:
                yield mapped
            if mapped is None or self._baskets.is_lost(file_index):
                npho, time = (self._piece(file_index, name, first, last) for name in branches)
                if npho.dtype != time.dtype:
                    npho, time = npho.astype(np.float32, copy=False), time.astype(np.float32, copy=False)
                yield SensorPiece(first, npho, time)

    def _mapped_piece(self, file_index: int, start: int, stop: int) -> SensorPiece | None:
        """Return a piece as it lies in a memory-mapped file, or None where it must be read first."""
        names = (self._plan.npho_branch, self._plan.time_branch)
        if not all(_is_plain_float(self._files[file_index].layout.branches[name]) for name in names):
            return None
        npho, time = (self._baskets.mapped_rows(file_index, name, start, stop) for name in names)
        return None if npho is None or time is None else SensorPiece(start, npho, time)

    def _number_branches(self, file_index: int) -> list[str]:
        file = self._files[file_index]
        return [*self._plan.truth_branches, *(name for name in (RUN, EVENT) if file.has_number(name))]

    def release_pages(self, file_index: int) -> None:
        """Let go of what was read of a file: for whoever reads it once, from its beginning to its end."""
        self._baskets.release_pages(file_index)

    def take_read_seconds(self) -> float:
        """Return how long this thread has waited for bytes since it asked last."""
        return self._baskets.take_read_seconds()

    def close(self) -> None:
        """Close the files."""
        self._baskets.close()
        self._trees.close()

    def _cuts(self, file_index: int, branches: Sequence[str], start: int, stop: int) -> list[int]:
        """Return start, stop, and what lies between of the edges of baskets that are read directly."""
        layouts = (self._files[file_index].layout.branches[name] for name in branches)
        edges = np.concatenate([[start, stop], *(layout.edges for layout in layouts if layout.is_direct)])
        return np.unique(edges[(edges >= start) & (edges <= stop)]).tolist()

    def read_float32(self, file_index: int, name: str, start: int, stop: int, width: int) -> FloatArray:
        """Return entries of any branch of numbers as float32, shape (stop - start, width); like ``read``."""
        into = np.empty((stop - start, width), np.float32)
        self._read_into(into, file_index, name, start)
        return into

    def _read_int64(self, file_index: int, name: str, start: int, stop: int) -> NDArray[np.int64]:
        into = np.empty((stop - start, 1), np.int64)
        self._read_into(into, file_index, name, start)
        return into[:, 0]

    def _read_into(self, into: NDArray[Any], file_index: int, name: str, start: int) -> None:
        """Fill an array of shape (n, width) with the entries from a position on, converting number and byte order."""
        for first, last in pairwise(self._cuts(file_index, [name], start, start + len(into))):
            values = self._stored(file_index, name, first, last)
            here = into[first - start : last - start]
            if values.size != here.size:
                file = self._files[file_index]
                raise DataError(
                    f"{file.path}: branch {file.name_in_file(name)!r}, entries {first} to {last - 1}: expected "
                    f"{into.shape[1]} values per event, got shape {values.shape}. Write the file anew."
                )
            # More than 3.4e38 in a float64 branch becomes infinite, which counts as no value.
            with np.errstate(over="ignore"):
                here[:] = values.reshape(here.shape)

    def _piece(self, file_index: int, name: str, start: int, stop: int) -> NDArray[np.float32]:
        if _is_plain_float(self._files[file_index].layout.branches[name]):
            return self._stored(file_index, name, start, stop)
        return self.read_float32(file_index, name, start, stop, NUM_SENSORS)

    def _stored(self, file_index: int, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return entries of one basket as they are stored, or by the ROOT library where it is needed."""
        file = self._files[file_index]
        if file.layout.branches[name].is_direct:
            try:
                return self._baskets.rows(file_index, name, start, stop)
            except UnusualBasketError:
                pass
        with self._trees.borrow(file.path) as tree:
            return read_branch(tree, file.path, file.name_in_file(name), start, stop)


def _is_plain_float(layout: BranchLayout) -> bool:
    return layout.is_direct and layout.dtype == ">f4"


def iterate_raw(
    files: Sequence[FileSchema], plan: BranchPlan, *, chunk: int = 1024, threads: int = 2
) -> Iterator[RawChunk]:
    """Yield all events in the order of files and entries, without normalization; one chunk is read ahead.

    Args:
        files: Checked files (``lib.data.trees.schema.check_files``).
        plan: The branches; truth may be empty.
        chunk: Largest number of events per chunk; a chunk never spans two files.
        threads: Threads that read parts of a chunk.

    Raises:
        DataError: Like ``EventReader.read``.
    """
    reader = EventReader(files, plan)
    ranges = [
        (index, start, min(start + chunk, file.num_entries))
        for index, file in enumerate(files)
        for start in range(0, file.num_entries, chunk)
    ]
    try:
        yield from map_ahead(lambda entries: reader.read(*entries), ranges, ahead=threads)
    finally:
        reader.close()
