"""What a person sees while a training runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress, TaskID, TextColumn

from lib.progress_bar import progress_bar


class EpochProgress:
    """A bar with events per second and loss on a terminal; nothing elsewhere, where one line per epoch suffices."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task
        self._start = time.perf_counter()
        self._events = 0

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self._start

    @property
    def events_per_second(self) -> float:
        """Mean rate since the start."""
        return self._events / max(self.seconds, 1e-9)

    def advance(self, events: int) -> None:
        """Note a finished batch."""
        self._events += events
        self._bar.update(self._task, advance=1, rate=f"{self.events_per_second:,.0f} events/s")

    def show(self, text: str) -> None:
        """Show a few words behind the bar."""
        self._bar.update(self._task, note=text)


@contextmanager
def epoch_progress(title: str, num_batches: int, done: int = 0) -> Iterator[EpochProgress]:
    """Show the progress of one pass, of which some batches were done earlier; the bar goes when the pass is over."""
    with progress_bar(TextColumn("{task.fields[rate]} {task.fields[note]}")) as bar:
        yield EpochProgress(bar, bar.add_task(title, total=num_batches, completed=done, rate="", note=""))
