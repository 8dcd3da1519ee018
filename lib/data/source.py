"""Raw events from ROOT files: entry ranges of the planned branches, as float32."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uproot
from numpy.typing import NDArray

from lib.data.branches import EVENT, RUN
from lib.data.read_ahead import map_ahead
from lib.data.schema import BRANCH_WIDTHS, BranchPlan, FileSchema
from lib.data.tree_reading import FloatArray, TreeCache, read_branch
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


class EventReader:
    """Reads entry ranges of checked files; may be used by several threads."""

    def __init__(self, files: Sequence[FileSchema], plan: BranchPlan) -> None:
        self._files = files
        self._plan = plan
        self._trees = TreeCache(plan.tree_name)

    def read(self, file_index: int, start: int, stop: int) -> RawChunk:
        """Return the events [start, stop) of a file.

        Args:
            file_index: Position of the file in the list that was given.
            start: First entry.
            stop: One past the last entry.

        Raises:
            DataError: Naming file, tree, branch and entries if they cannot be read or are not what was checked.
        """
        file, plan = self._files[file_index], self._plan
        with self._trees.borrow(file.path) as tree:
            read = functools.partial(_read_float32, tree, file.path, start=start, stop=stop)
            integers = functools.partial(_read_int64, tree, file.path, start=start, stop=stop)
            return RawChunk(
                npho=read(plan.npho_branch, width=NUM_SENSORS),
                time=read(plan.time_branch, width=NUM_SENSORS),
                truth={name: read(name, width=BRANCH_WIDTHS[name]) for name in plan.truth_branches},
                run=integers(RUN) if file.has_run else np.full(stop - start, file_index),
                event=integers(EVENT) if file.has_event else np.arange(start, stop),
            )

    def read_truth(self, file_index: int, name: str) -> FloatArray:
        """Return one truth branch of a whole file, shape (entries, width); raises ``DataError`` like ``read``."""
        file = self._files[file_index]
        with self._trees.borrow(file.path) as tree:
            return _read_float32(tree, file.path, name, start=0, stop=file.num_entries, width=BRANCH_WIDTHS[name])

    def close(self) -> None:
        """Close the files."""
        self._trees.close()


def iterate_raw(
    files: Sequence[FileSchema], plan: BranchPlan, *, chunk: int = 1024, threads: int = 2
) -> Iterator[RawChunk]:
    """Yield all events in the order of files and entries, without normalization; one chunk is read ahead.

    Args:
        files: Checked files (``lib.data.schema.check_files``).
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


def _read_float32(tree: uproot.TTree, path: Path, name: str, *, start: int, stop: int, width: int) -> FloatArray:
    values = read_branch(tree, path, name, start, stop)
    if values.size != (stop - start) * width:
        # Every file was checked at the start, so it has been replaced since.
        raise DataError(
            f"{path}: branch {name!r}, entries {start} to {stop - 1}: expected {width} values per event, got shape "
            f"{values.shape}. The file changed while it was in use: start again."
        )
    # More than 3.4e38 in a float64 branch becomes infinite, which counts as no value.
    with np.errstate(over="ignore"):
        return values.reshape(-1, width).astype(np.float32, copy=False)


def _read_int64(tree: uproot.TTree, path: Path, name: str, *, start: int, stop: int) -> NDArray[np.int64]:
    return read_branch(tree, path, name, start, stop).astype(np.int64, copy=False)
