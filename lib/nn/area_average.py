"""Averages over the cells of a coarser grid as constant matrices.

A matrix is exact for sizes that do not divide each other, reads every position, and is an ordinary product in an
exported graph; adaptive pooling is neither exportable for such sizes nor free of overlaps.
"""

import torch
from torch import Tensor


def area_average_matrix(num_in: int, num_out: int) -> Tensor:
    """Return the weights that average ``num_in`` cells of a line into ``num_out`` cells of the same line.

    Args:
        num_in: Cells in.
        num_out: Cells out; may be larger, which then repeats and blends.

    Returns:
        Shape (num_out, num_in), rows of sum 1: the overlap of each pair of cells over the length of the output cell.
    """
    edges_in = torch.arange(num_in + 1, dtype=torch.float64) / num_in
    edges_out = torch.arange(num_out + 1, dtype=torch.float64) / num_out
    low = torch.maximum(edges_out[:-1, None], edges_in[None, :-1])
    high = torch.minimum(edges_out[1:, None], edges_in[None, 1:])
    return ((high - low).clamp_min(0.0) * num_out).float()


def grid_average_matrix(shape_in: tuple[int, int], shape_out: tuple[int, int]) -> Tensor:
    """Return the weights that average an (H, W) grid, flattened, into an (h, w) grid: shape (h * w, H * W)."""
    rows = area_average_matrix(shape_in[0], shape_out[0])
    columns = area_average_matrix(shape_in[1], shape_out[1])
    return torch.kron(rows, columns)
