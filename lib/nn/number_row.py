"""Numbers of a configuration beside tensors of a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor


def number_row(numbers: Sequence[float], like: Tensor) -> Tensor:
    """Return numbers as a row of the type of a tensor and on its device, shape (1, count).

    Filled where it is used: a tensor made of a list would be copied to the device, and the copy waits for it. In an
    exported graph it is one constant, where a column for each number is four operations.
    """
    return torch.cat([like.new_full((1, 1), number) for number in numbers], dim=1)
