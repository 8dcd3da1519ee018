"""Which bin of a histogram each selected event falls into, for weights and for balanced sampling."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.data.choice.expression import Expression, parse_expression
from lib.data.choice.selection import FileSelection
from lib.data.config import BinnedQuantities
from lib.data.trees.schema import BranchPlan
from lib.data.trees.source import EventReader
from lib.errors import DataError

CellArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BinnedEvents:
    """The bins of all selected events.

    Attributes:
        cells: Bin of each selected event, files one after the other, shape (selected,).
        borders: Position of the first event of each file but the first one.
    """

    cells: CellArray
    borders: CellArray


def expressions_of(config: BinnedQuantities) -> list[Expression]:
    """Return the expressions that are binned, names of tasks replaced by their components."""
    return [parse_expression(text) for text in config.expressions()]


def bin_events(
    selections: Sequence[FileSelection], plan: BranchPlan, config: BinnedQuantities, setting: str
) -> BinnedEvents:
    """Read some quantities of all selected events, once, and bin them.

    Args:
        selections: Used events of checked files.
        plan: Supplies the tree.
        config: Quantities and bins.
        setting: Which setting asks for it, for messages.

    Raises:
        DataError: If a quantity is not finite for some event.
    """
    quantities = expressions_of(config)
    reader = EventReader([selection.file for selection in selections], plan)
    try:
        points = [_points_of(reader, index, one, quantities, setting) for index, one in enumerate(selections)]
    finally:
        reader.close()
    borders = np.cumsum([len(part) for part in points])[:-1]
    return BinnedEvents(cells_of(np.concatenate(points), config.bins), borders)


def cells_of(points: NDArray[np.float64], bins: int) -> CellArray:
    """Return the bin of each point, shape (n,).

    Args:
        points: Finite quantities, shape (n, dimensions).
        bins: Bins of equal width in each dimension, between the smallest and the largest value.
    """
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    scaled = (points - low) / np.where(span > 0, span, 1.0) * bins
    cells = np.minimum(scaled.astype(np.int64), bins - 1)
    return np.ravel_multi_index(tuple(cells.T), (bins,) * points.shape[1])


def _points_of(
    reader: EventReader, index: int, selection: FileSelection, quantities: Sequence[Expression], setting: str
) -> NDArray[np.float64]:
    names = dict.fromkeys(name for quantity in quantities for name in quantity.components)
    chosen = selection.selected_between(0, selection.file.num_entries)
    values = {name: reader.read_whole(index, name)[chosen] for name in names}
    columns = [np.broadcast_to(quantity.evaluate(values), len(chosen)) for quantity in quantities]
    points = np.stack(columns, axis=-1).astype(np.float64)
    if not np.isfinite(points).all():
        broken = int(np.count_nonzero(~np.isfinite(points).all(axis=-1)))
        shown = ", ".join(quantity.text for quantity in quantities)
        raise DataError(
            f"{selection.file.path}: {setting} of {shown}: {broken} events have no finite value. Exclude them "
            "by data.cut."
        )
    return points
