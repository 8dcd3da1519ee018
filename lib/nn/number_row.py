"""Numbers of a configuration beside the columns of a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor


def number_row(numbers: Sequence[float], columns: Tensor) -> Tensor:
    """Return a number for each column as a row of the same type on the same device, shape (1, C).

    Filled where it is used: a tensor made of a list would be copied to the device, and the copy waits for it. In an
    exported graph it is one constant, where a column for each number is four operations.

    Args:
        numbers: One for each column.
        columns: Shape (B, C).

    Raises:
        ValueError: If there are more columns or fewer; a single one would be repeated without a word.
    """
    if columns.shape[1] != len(numbers):
        raise ValueError(f"expected {len(numbers)} columns, one for each of {tuple(numbers)}; got {columns.shape[1]}")
    return torch.cat([columns.new_full((1, 1), number) for number in numbers], dim=1)
