"""Averages between the 234 sensors of the outer face and a pooled form of its fine grid."""

import torch
from torch import Tensor
from torch.nn import functional

from lib.geometry.outer_grid import FINE_SHAPE, outer_grid

GRID_POOL = (3, 3)
GRID_SHAPE = (FINE_SHAPE[0] // GRID_POOL[0], FINE_SHAPE[1] // GRID_POOL[1])
"""15 cells along z by 24 along phi: a dense sensor is one cell high, a coarse one is one cell wide."""


def _overlap() -> Tensor:
    """Return how many fine cells each sensor has in each pooled one, shape (234, 15 * 24)."""
    grid = outer_grid()
    owner = functional.one_hot(torch.tensor(grid.owner), len(grid.covered_ids))  # (45, 72, 234)
    windows = owner.unflatten(0, (GRID_SHAPE[0], GRID_POOL[0])).unflatten(2, (GRID_SHAPE[1], GRID_POOL[1]))
    return windows.sum(dim=(1, 3)).flatten(0, 1).T.float()


def cells_to_sensors() -> Tensor:
    """Return the weights that average the cells of each sensor, shape (234, 360)."""
    overlap = _overlap()
    return overlap / overlap.sum(dim=1, keepdim=True)


def sensors_to_cells() -> Tensor:
    """Return the weights that average the sensors of each cell, shape (360, 234)."""
    overlap = _overlap().T
    return overlap / overlap.sum(dim=1, keepdim=True)
