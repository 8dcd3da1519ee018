"""What the processes of one training agree on; a single process agrees with itself at no cost.

Ranks exist once ``torch.distributed`` is initialized, whoever did it.
"""

import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if _is_initialized() else 1


def rank() -> int:
    """Return the number of this process among them, from 0."""
    return dist.get_rank() if _is_initialized() else 0


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the element-wise sum of a tensor over all ranks, with the same bits on each of them.

    Every rank must call it the same number of times, whatever it has seen: one that left a step out on its own would
    leave the others waiting for ever. On a GPU the sum is queued on the device and the host goes on.
    """
    if world_size() == 1:
        return values
    summed = values.clone()
    dist.all_reduce(summed)
    return summed


def largest_of_ranks(values: Tensor) -> Tensor:
    """Return the element-wise largest of a tensor of the host over all ranks, the same on each of them.

    Hosts wait for each other, not for devices. Like ``sum_over_ranks`` it must be called by all ranks alike.
    """
    if world_size() == 1:
        return values
    largest = values.clone()
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return largest


def _is_initialized() -> bool:
    return dist.is_available() and dist.is_initialized()
