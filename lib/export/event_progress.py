"""What a person sees while events pass by."""

import logging
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from lib.progress_bar import on_terminal, progress_bar

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0

Events = TypeVar("Events", bound=Sized)


def show_progress(
    chunks: Iterable[Events], num_events: int, *, seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Events]:
    """Yield the chunks with a bar on a terminal, elsewhere with a plain line now and then.

    Args:
        chunks: Passed on one by one; the time between them counts as work on the last one.
        num_events: Events in all of them.
        seconds_between_lines: Least distance of two lines.
    """
    start = last_line = time.monotonic()
    done = 0
    with progress_bar() as bar:
        task = bar.add_task("predict", total=num_events)
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            bar.update(task, completed=done)
            now = time.monotonic()
            if not on_terminal() and now - last_line >= seconds_between_lines:
                logger.info("%d of %d events, %.0f events/s", done, num_events, done / (now - start))
                last_line = now
    seconds = time.monotonic() - start
    logger.info("%d events in %.1f s, %.0f events/s", done, seconds, done / max(seconds, 1e-9))
