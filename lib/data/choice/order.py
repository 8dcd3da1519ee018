"""The order of events: a pure function of seed and epoch.

The entries of each file are cut into blocks, the blocks of all files are permuted, consecutive blocks form pools,
and the events of each pool are permuted. So only one pool is in memory, files are mixed although they may be sorted,
and any position can be found without reading what comes before. Nothing depends on workers or threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lib.data.choice.selection import FileSelection
from lib.data.trees.schema import FileSchema

IndexArray = NDArray[np.intp]

# Smaller blocks mix better, but each costs a seek and, at its ends, parts of baskets decompressed in vain.
MIN_BLOCK = 64
BLOCKS_PER_POOL = 16


@dataclass(frozen=True)
class Block:
    """Neighbouring entries of one file.

    Attributes:
        file_index: Position of the file in the sorted list.
        start: First entry.
        stop: One past the last entry.
        num_events: Selected events among them.
    """

    file_index: int
    start: int
    stop: int
    num_events: int


@dataclass(frozen=True)
class Pool:
    """Events that are mixed with each other: the unit of work of a loader process.

    Attributes:
        epoch: The epoch.
        index: Number of the pool within the epoch.
        blocks: Its events, in the order of blocks before they are permuted.
    """

    epoch: int
    index: int
    blocks: tuple[Block, ...]

    @property
    def num_events(self) -> int:
        """Selected events in the pool."""
        return sum(block.num_events for block in self.blocks)


class EventOrder:
    """The order in which the selected events of some files are used."""

    def __init__(self, blocks: Sequence[Block], *, pool_events: int, seed: int, shuffle: bool) -> None:
        self._blocks = blocks
        self._pool_events = pool_events
        self._seed = seed
        self._shuffle = shuffle
        self.num_events = sum(block.num_events for block in blocks)

    def with_blocks(self, blocks: Sequence[Block]) -> "EventOrder":
        """Return the same order of other events."""
        return EventOrder(blocks, pool_events=self._pool_events, seed=self._seed, shuffle=self._shuffle)

    def pools(self, epoch: int) -> list[Pool]:
        """Return the pools of an epoch; together they hold every selected event once."""
        order = permutation(len(self._blocks), self._seed, epoch, 0) if self._shuffle else range(len(self._blocks))
        groups: list[list[Block]] = []
        filled = self._pool_events
        for position in order:
            block = self._blocks[position]
            if filled + block.num_events > self._pool_events:
                groups.append([])
                filled = 0
            groups[-1].append(block)
            filled += block.num_events
        return [Pool(epoch, index, tuple(group)) for index, group in enumerate(groups)]

    def rows(self, pool: Pool) -> IndexArray:
        """Return where each event of a pool goes.

        Returns:
            Row in the pool of each event, shape (events,), the events taken block after block.
        """
        if not self._shuffle:
            return np.arange(pool.num_events)
        # Stream 0 of an epoch belongs to its blocks.
        return permutation(pool.num_events, self._seed, pool.epoch, pool.index + 1)


def permutation(length: int, seed: int, epoch: int, stream: int) -> IndexArray:
    """Return a permutation of range(length) that depends on the arguments alone.

    The raw words of the counter-based generator are sorted, for NumPy keeps those between its versions, but not what
    ``Generator.permutation`` makes of them.
    """
    return np.argsort(_philox(seed, epoch, 0, stream).random_raw(length), kind="stable")


def batch_seed(seed: int, epoch: int, batch: int) -> int:
    """Return the seed, below 2^63, for whatever is drawn for one batch."""
    return int(_philox(seed, epoch, 1, batch).random_raw()) >> 1


def drawn_words(length: int, seed: int, epoch: int) -> NDArray[np.uint64]:
    """Return random words for the draw of an epoch's events, shape (length,)."""
    return _philox(seed, epoch, 2, 0).random_raw(length)


def _philox(seed: int, epoch: int, purpose: int, stream: int) -> np.random.Philox:
    # The lower words of the counter count the draws, so streams never overlap.
    key = np.array([seed % 2**64, epoch], dtype=np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, purpose, stream], dtype=np.uint64))


def cut_blocks(selections: Sequence[FileSelection], pool_events: int) -> list[Block]:
    """Cut the entries of all files into blocks.

    Blocks end where compressed baskets end, so that no basket is decompressed twice, except that a basket of more
    than a quarter of a pool is divided, and so are blocks whose repeated entries give as many events. Blocks without a
    selected event are left out.

    Args:
        selections: The files in sorted order, with their used events.
        pool_events: Events per pool.
    """
    smallest = max(MIN_BLOCK, pool_events // BLOCKS_PER_POOL)
    largest = max(MIN_BLOCK, pool_events // 4)
    blocks = []
    for index, selection in enumerate(selections):
        for start, stop in cut_file(selection.file, smallest, largest):
            for first, last in pairwise(_divided(selection, start, stop, largest)):
                num_events = len(selection.selected_between(first, last))
                if num_events:
                    blocks.append(Block(index, first, last, num_events))
    return blocks


def _divided(selection: FileSelection, start: int, stop: int, largest: int) -> list[int]:
    """Return start, stop, and entries between them that divide selected events beyond the largest number."""
    chosen = selection.selected_between(start, stop)
    if len(chosen) <= max(largest, stop - start):
        return [start, stop]
    parts = -(-len(chosen) // largest)
    return np.unique([start, stop, *chosen[len(chosen) * np.arange(1, parts) // parts]]).tolist()


def cut_file(file: FileSchema, smallest: int, largest: int) -> list[tuple[int, int]]:
    """Return ranges of entries, at basket edges where these are far enough apart.

    Args:
        file: The file.
        smallest: Entries that a range has at least, except for the last.
        largest: Entries beyond which a basket is divided.
    """
    pieces: list[tuple[int, int]] = []
    start = 0
    for edge in [*file.basket_edges[1:-1].tolist(), file.num_entries]:
        if edge - start < smallest and edge < file.num_entries:
            continue
        parts = -(-(edge - start) // largest)
        borders = [start + (edge - start) * part // parts for part in range(parts + 1)]
        pieces += pairwise(borders)
        start = edge
    return pieces
