"""Threads for compiled functions, which let go of Python's lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

R = TypeVar("R")


def for_each_part(num_events: int, function: Callable[[int, int], R]) -> list[R]:
    """Call a function for parts of a batch, one thread each, and return what it returned.

    Args:
        num_events: Events of the batch.
        function: Takes the first event of a part and the one behind its last.
    """
    parts = min(torch.get_num_threads(), num_events)
    borders = [num_events * part // parts for part in range(parts + 1)]
    if parts == 1:
        return [function(0, num_events)]
    return list(_threads(parts).map(function, borders[:-1], borders[1:]))


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "compiled")
