"""Which events an epoch draws: all of them once, or so many of each that every bin of a quantity appears equally often.

A draw is a pure function of seed and epoch, so any process can repeat it, and a position within an epoch is all that
resuming needs. It keeps the number of events of an epoch, and it is ordered like the files:
``lib.data.choice.order`` mixes.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np

from lib.data.choice.binning import CellArray, bin_events
from lib.data.choice.order import drawn_words
from lib.data.choice.selection import FileSelection
from lib.data.config import BalanceConfig
from lib.data.trees.schema import BranchPlan

logger = logging.getLogger(__name__)


class EventDraw(Protocol):
    """The events of each epoch."""

    def of_epoch(self, epoch: int) -> Sequence[FileSelection]:
        """Return the events of an epoch, file by file; an entry that is drawn n times stands there n times."""
        ...


@dataclass(frozen=True, eq=False)
class EveryEvent:
    """Draws each selected event once."""

    selections: Sequence[FileSelection]

    def of_epoch(self, _epoch: int) -> Sequence[FileSelection]:
        """See ``EventDraw``."""
        return self.selections


class BalancedDraw:
    """Draws events so that bins appear equally often (``EventDraw``).

    Args:
        selections: The selected events.
        cells: Bin of each of them, files one after the other, shape (selected,).
        max_repeats: How often an event may appear in an epoch; rare bins stay below the others rather than repeat more.
        seed: Of the draws.
    """

    def __init__(self, selections: Sequence[FileSelection], cells: CellArray, *, max_repeats: int, seed: int) -> None:
        self.selections = selections
        self._ranks = np.unique(cells, return_inverse=True)[1]
        self._sizes = np.bincount(self._ranks)
        self.shares = bin_shares(self._sizes, max_repeats)
        self._seed = seed
        self._last: tuple[int, Sequence[FileSelection]] = (-1, selections)

    def of_epoch(self, epoch: int) -> Sequence[FileSelection]:
        """See ``EventDraw``."""
        if self._last[0] != epoch:
            self._last = (epoch, self._draw(epoch))
        return self._last[1]

    def repeats(self, epoch: int) -> CellArray:
        """Return how often each selected event appears in an epoch, shape (selected,)."""
        whole, extra = np.divmod(self.shares, self._sizes)
        repeats = whole[self._ranks]
        # Events grouped by bin, in random order within each; the first ones of a bin appear once more.
        words = drawn_words(len(self._ranks), self._seed, epoch)
        grouped = np.lexsort((words, self._ranks))
        first = np.cumsum(self._sizes) - self._sizes
        place_in_bin = np.arange(len(grouped)) - np.repeat(first, self._sizes)
        repeats[grouped[place_in_bin < np.repeat(extra, self._sizes)]] += 1
        return repeats

    def _draw(self, epoch: int) -> list[FileSelection]:
        repeats = self.repeats(epoch)
        borders = np.cumsum([0, *(one.num_selected for one in self.selections)])
        drawn = []
        for one, (begin, end) in zip(self.selections, pairwise(borders), strict=True):
            entries = one.selected_between(0, one.file.num_entries)
            drawn.append(replace(one, entries=np.repeat(entries, repeats[begin:end])))
        return drawn


def balance(selections: Sequence[FileSelection], plan: BranchPlan, config: BalanceConfig, *, seed: int) -> BalancedDraw:
    """Return the draws of a configuration; reads the quantities of all selected events once.

    Raises:
        DataError: If a quantity is not finite for some event.
    """
    binned = bin_events(selections, plan, config, "data.balance")
    draw = BalancedDraw(selections, binned.cells, max_repeats=config.max_repeats, seed=seed)
    sizes = np.bincount(binned.cells)
    sizes = sizes[sizes > 0]
    logger.info(
        "data.balance: %d bins with %d to %d events each appear %d to %d times in an epoch",
        *(len(sizes), sizes.min(), sizes.max(), draw.shares.min(), draw.shares.max()),
    )
    return draw


def bin_shares(sizes: CellArray, max_repeats: int) -> CellArray:
    """Return how often each bin appears in an epoch, shape (bins,); the sum is that of the sizes.

    Bins are equal up to 1, except those that reach ``max_repeats`` times their events: the others share the rest.

    Args:
        sizes: Events of each bin, all positive, shape (bins,).
        max_repeats: Limit of the mean repetitions of a bin's events, at least 1.
    """
    limits = sizes * max_repeats
    order = np.argsort(limits, kind="stable")
    shares = np.empty_like(limits)
    left = int(sizes.sum())
    for position, cell in enumerate(order):
        # In ascending order of limits, a bin that cannot take its part leaves more to all that follow.
        shares[cell] = min(limits[cell], left // (len(order) - position))
        left -= int(shares[cell])
    return shares
