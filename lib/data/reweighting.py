"""Weights that make the spectrum of some quantities flat."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lib.data.config import ReweightingConfig
from lib.data.expression import Expression, parse_expression
from lib.data.schema import BranchPlan
from lib.data.selection import FileSelection
from lib.data.source import EventReader
from lib.errors import DataError


def quantities_of(config: ReweightingConfig) -> list[Expression]:
    """Return the expressions whose histogram is flattened."""
    return [parse_expression(text) for text in config.quantities]


def reweight(selections: Sequence[FileSelection], plan: BranchPlan, config: ReweightingConfig) -> list[FileSelection]:
    """Return the selections with a weight for each event.

    The weight is the inverse of the number of events in the same bin, scaled to a mean of 1, limited, and scaled again.

    Args:
        selections: Used events of checked files.
        plan: Supplies the tree.
        config: Quantities and bins.

    Raises:
        DataError: If a quantity is not finite for some event.
    """
    quantities = quantities_of(config)
    reader = EventReader([selection.file for selection in selections], plan)
    try:
        points = [_quantities_in(reader, index, one, quantities) for index, one in enumerate(selections)]
    finally:
        reader.close()
    weights = flattening_weights(np.concatenate(points), config.bins, config.max_weight)
    borders = np.cumsum([len(part) for part in points])[:-1]
    parts = np.split(weights.astype(np.float32), borders)
    return [replace(selection, weights=part) for selection, part in zip(selections, parts, strict=True)]


def flattening_weights(points: NDArray[np.float64], bins: int, max_weight: float) -> NDArray[np.float64]:
    """Return the weights of points, shape (n,), with mean 1.

    Args:
        points: Finite quantities, shape (n, dimensions).
        bins: Bins of equal width in each dimension.
        max_weight: Limit of the weights before they are scaled a last time.
    """
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    scaled = (points - low) / np.where(span > 0, span, 1.0) * bins
    cells = np.minimum(scaled.astype(np.int64), bins - 1)
    flat = np.ravel_multi_index(tuple(cells.T), (bins,) * points.shape[1])
    counts = np.bincount(flat)
    weights = 1.0 / counts[flat]
    weights = np.minimum(weights / weights.mean(), max_weight)
    return weights / weights.mean()


def _quantities_in(
    reader: EventReader, index: int, selection: FileSelection, quantities: Sequence[Expression]
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
            f"{selection.file.path}: data.reweighting of {shown}: {broken} events have no finite value. Exclude them "
            "by data.cut."
        )
    return points
