"""The events of an inference: readings, numbers, and whatever of the input is to stand beside the predictions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import DEAD, EVENT, INVALID_ABOVE, RUN
from lib.data.pools.read_ahead import map_ahead
from lib.data.trees.schema import BranchPlan, FileSchema
from lib.data.trees.source import EventReader, RawChunk
from lib.data.trees.tree_reading import TreeCache, read_branch
from lib.errors import DataError, nearest
from lib.geometry.sensors import NUM_SENSORS

# A branch of predictions begins like this, and may not be carried over a second time.
PREDICTED = "pred_"


@dataclass(frozen=True)
class EntryRange:
    """Consecutive events of one file.

    Attributes:
        number: Place among all ranges.
        file_index: Place of the file.
        start: First entry.
        stop: One past the last.
    """

    number: int
    file_index: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class EventPart:
    """The events of one range.

    Attributes:
        entries: Where they are.
        chunk: Readings, truth and numbers.
        dead: Sensors to be restored, shape (n, 4760), bool; None for a model that restores nothing.
        kept: Branches that are carried over, shape (n, ...).
    """

    entries: EntryRange
    chunk: RawChunk
    dead: NDArray[np.bool_] | None
    kept: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.chunk)


def entry_ranges(files: Sequence[FileSchema], size: int) -> list[EntryRange]:
    """Return all events of the files in order, in ranges of at most ``size`` events."""
    places = [
        (index, start, min(start + size, file.num_entries))
        for index, file in enumerate(files)
        for start in range(0, file.num_entries, size)
    ]
    return [EntryRange(number, *place) for number, place in enumerate(places)]


class EventInput:
    """Reads ranges of events, several ahead.

    Args:
        files: Checked files.
        plan: The branches that the model needs.
        keep: Branches that are carried over as they are.
        dead: Whether the model asks which sensors are dead; the branch ``dead`` says it, where the files have it.
        recover: Whether sensors without a photon count are dead too.

    Raises:
        DataError: If a branch cannot be carried over.
    """

    def __init__(
        self, files: Sequence[FileSchema], plan: BranchPlan, *, keep: Sequence[str], dead: bool, recover: bool
    ) -> None:
        self._files = files
        self._keep = keep
        self._dead = dead
        self._recover = recover
        self._reader = EventReader(files, plan)
        self._trees = TreeCache(plan.tree_name)
        for file in files:
            for name in keep:
                _check_kept(file, name)

    def read_all(self, ranges: Sequence[EntryRange], *, threads: int) -> Iterator[EventPart]:
        """Yield the events of the ranges in their order; raises ``DataError`` where they cannot be read."""
        try:
            yield from map_ahead(self._read, ranges, ahead=threads)
        finally:
            self._reader.close()
            self._trees.close()

    def _read(self, entries: EntryRange) -> EventPart:
        file = self._files[entries.file_index]
        chunk = self._reader.read(entries.file_index, entries.start, entries.stop)
        # Else the process holds all of 32 files, however large they are.
        self._reader.release_pages(entries.file_index)
        kept = {name: self._kept(file, name, entries) for name in self._keep}
        return EventPart(entries, chunk, self._dead_of(file, chunk, entries) if self._dead else None, kept)

    def _dead_of(self, file: FileSchema, chunk: RawChunk, entries: EntryRange) -> NDArray[np.bool_]:
        dead = np.zeros(chunk.npho.shape, np.bool_)
        branch = file.layout.branches.get(DEAD)
        if branch is not None and branch.width == NUM_SENSORS:
            dead |= self._stored(file, DEAD, entries) != 0
        if self._recover:
            dead |= ~(np.isfinite(chunk.npho) & (chunk.npho <= INVALID_ABOVE))
        return dead

    def _kept(self, file: FileSchema, name: str, entries: EntryRange) -> NDArray[Any]:
        try:
            return self._stored(file, name, entries)
        except DataError as error:
            # A vector shows only when it is read whether all of its entries have one length.
            raise DataError(f"--keep {name}: only numbers of fixed length can be carried over. {error}") from error

    def _stored(self, file: FileSchema, name: str, entries: EntryRange) -> NDArray[Any]:
        with self._trees.borrow(file.path) as tree:
            return read_branch(tree, file.path, file.name_in_file(name), entries.start, entries.stop)


def _check_kept(file: FileSchema, name: str) -> None:
    branch = file.layout.branches.get(name)
    if branch is None:
        raise DataError(
            f"--keep {name}: {file.path} has no such branch; nearest: {nearest(name, file.layout.branches)}."
        )
    if branch.width is None:
        raise DataError(f"--keep {name}: in {file.path} it is a {branch.type_name}; only numbers of fixed length pass.")
    if name in {RUN, EVENT} or name.startswith(PREDICTED):
        raise DataError(f"--keep {name}: the output has a branch of that name already. Leave it out.")
