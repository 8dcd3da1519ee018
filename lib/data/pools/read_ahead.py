"""Work done ahead of its use, in threads of the same process."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(function: Callable[[T], R], items: Iterable[T], *, ahead: int = 1) -> Iterator[R]:
    """Yield the results of a function in the order of its items, computing the next ones meanwhile.

    Args:
        function: Called in up to ``ahead`` threads.
        items: Its arguments, taken one by one as results are used.
        ahead: Results that are computed or waiting at any time, beside the one in use.
    """
    remaining = iter(items)
    executor = ThreadPoolExecutor(ahead, thread_name_prefix="read-ahead")
    try:
        pending: deque[Future[R]] = deque(executor.submit(function, item) for item in islice(remaining, ahead))
        while pending:
            result = pending.popleft().result()
            pending.extend(executor.submit(function, item) for item in islice(remaining, 1))
            yield result
    finally:
        # An abandoned iteration must not start what nobody waits for.
        executor.shutdown(wait=True, cancel_futures=True)
