"""Which events are which: by run and event number, and by their truth where numbers start anew in each file.

Both are reduced to 64 bits an event, so that ten million events take 160 MB. Numbers and truth are read of every event;
photon counts decide only whether examples that look alike are the same event.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import EVENT, N_GAMMA, RUN, TRUTH_WIDTHS
from lib.data.trees.schema import FileSchema
from lib.data.trees.source import EventReader

KeyArray = NDArray[np.uint64]

# Truth that most events share, such as one energy for all, tells no events apart.
_LEAST_DISTINCT = 0.05


@dataclass(frozen=True, eq=False)
class EventKeys:
    """Keys of all events of some files, file after file.

    Attributes:
        files: The files.
        numbers: Key of run and event number, shape (events,); None where a file has no event numbers.
        content: Key of the truth, shape (events,); None where there is none that tells events apart.
    """

    files: Sequence[FileSchema]
    numbers: KeyArray | None
    content: KeyArray | None

    def locate(self, position: int) -> tuple[int, int]:
        """Return the index of the file and the entry of an event."""
        borders = np.cumsum([file.num_entries for file in self.files])
        index = int(np.searchsorted(borders, position, side="right"))
        return index, position - int(borders[index - 1] if index else 0)

    def name(self, position: int) -> str:
        """Return file and entry of an event, for messages."""
        index, entry = self.locate(position)
        return f"{self.files[index].path} entry {entry}"


def content_branches(files: Sequence[FileSchema]) -> list[str]:
    """Return the truth that all files have and that differs from event to event."""
    names = [name for name in TRUTH_WIDTHS if name != N_GAMMA]
    return [name for name in names if all(_has(file, name) for file in files)]


def event_keys(files: Sequence[FileSchema], reader: EventReader, truth: Sequence[str]) -> EventKeys:
    """Read the identities of all events.

    Args:
        files: Checked files.
        reader: Of these files.
        truth: Branches that make the content, the same ones for all files that are compared.

    Raises:
        DataError: If a file cannot be read.
    """
    numbers: list[KeyArray] = []
    content: list[KeyArray] = []
    numbered = all(file.has_number(EVENT) for file in files)
    for index, file in enumerate(files):
        if numbered:
            names = [name for name in (RUN, EVENT) if file.has_number(name)]
            numbers.append(_mixed([_whole_numbers(reader.read_whole(index, name)[:, 0]) for name in names]))
        if truth:
            columns = np.concatenate([reader.read_whole(index, name) for name in truth], axis=1)
            # Copies may be stored in another precision.
            rounded = columns.astype(np.float32)
            content.append(_mixed([column.copy().view(np.uint32).astype(np.uint64) for column in rounded.T]))
    return EventKeys(files, np.concatenate(numbers) if numbers else None, _telling(content))


@dataclass(frozen=True, eq=False)
class Matches:
    """Events of two sets, or of one, that have a key in common.

    Attributes:
        count: How many events of the second set have a partner in the first one.
        examples: Positions of some pairs, shape (pairs, 2).
    """

    count: int
    examples: NDArray[np.int64]


def common_events(first: KeyArray, second: KeyArray, num_examples: int = 5) -> Matches:
    """Return the events of the second set whose key is in the first set."""
    found = np.flatnonzero(np.isin(second, first))
    some = found[:num_examples]
    partners = [int(np.argmax(first == second[position])) for position in some]
    return Matches(len(found), np.array([*zip(partners, some.tolist(), strict=True)], np.int64).reshape(-1, 2))


def repeated_events(keys: KeyArray, num_examples: int = 5) -> Matches:
    """Return the events of a set whose key an earlier event has."""
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    pairs = np.stack([order[same], order[same + 1]], axis=-1)
    return Matches(len(same), pairs[np.argsort(pairs[:, 1])][:num_examples])


def _has(file: FileSchema, name: str) -> bool:
    branch = file.layout.branches.get(name)
    return branch is not None and branch.width == TRUTH_WIDTHS[name]


def _whole_numbers(values: NDArray[np.float64]) -> KeyArray:
    return values.astype(np.int64).view(np.uint64)


def _telling(content: list[KeyArray]) -> KeyArray | None:
    keys = np.concatenate(content) if content else np.empty(0, np.uint64)
    return keys if len(np.unique(keys)) > _LEAST_DISTINCT * len(keys) else None


def _mixed(columns: Sequence[KeyArray]) -> KeyArray:
    """Return 64 bits for each row.

    Source:
        The finalizer of SplitMix64: Steele, Lea and Flood, OOPSLA 2014.
    """
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        key = key + column + np.uint64(0x9E3779B97F4A7C15)
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        key = key ^ (key >> np.uint64(31))
    return key
