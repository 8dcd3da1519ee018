"""Weights that make the spectrum of some quantities flat."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lib.data.choice.binning import CellArray, bin_events
from lib.data.choice.selection import FileSelection
from lib.data.config import ReweightingConfig
from lib.data.trees.schema import BranchPlan


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
    binned = bin_events(selections, plan, config, "data.reweighting")
    weights = flattening_weights(binned.cells, config.max_weight).astype(np.float32)
    parts = np.split(weights, binned.borders)
    return [replace(selection, weights=part) for selection, part in zip(selections, parts, strict=True)]


def flattening_weights(cells: CellArray, max_weight: float) -> NDArray[np.float64]:
    """Return the weights of events, shape (n,), with mean 1.

    Args:
        cells: Bin of each event, shape (n,).
        max_weight: Limit of the weights before they are scaled a last time.
    """
    counts = np.bincount(cells)
    weights = 1.0 / counts[cells]
    weights = np.minimum(weights / weights.mean(), max_weight)
    return weights / weights.mean()
