"""Many files, by one or more processes, with progress."""

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib.errors import UserError
from lib.progress_bar import progress_bar
from lib.simulation.config import SimulationConfig
from lib.simulation.writer import CompressionName, FileTask, write_file

logger = logging.getLogger(__name__)


class RequestError(UserError):
    """The numbers asked for make no sense."""


@dataclass(frozen=True)
class Production:
    """A simulation asked for.

    Attributes:
        config: What is simulated.
        output: Folder of the files.
        num_events: Events in all files together.
        seed: Chooses the events.
        run: Run number.
        events_per_file: Events of each file but the last.
        compression: Codec of the files.
        num_processes: Processes that work on different files at the same time.
    """

    config: SimulationConfig
    output: Path
    num_events: int
    seed: int
    run: int
    events_per_file: int
    compression: CompressionName
    num_processes: int

    def __post_init__(self) -> None:
        for option, value, least in (
            ("--events", self.num_events, 1),
            ("--events-per-file", self.events_per_file, 1),
            ("--processes", self.num_processes, 1),
            ("--seed", self.seed, 0),
            ("--run", self.run, 0),
        ):
            if value < least:
                raise RequestError(f"{option}: expected a number from {least} on, got {value}.")

    def tasks(self) -> list[FileTask]:
        """Return the files to be written."""
        return [
            FileTask(
                self.output / f"events_{self.run:06d}_{number:04d}.root",
                self.config,
                self.seed,
                self.run,
                first_event=first,
                num_events=min(self.events_per_file, self.num_events - first),
                compression=self.compression,
            )
            for number, first in enumerate(range(0, self.num_events, self.events_per_file))
        ]


def produce(production: Production) -> None:
    """Write all files that are not there yet.

    Raises:
        OutputError: If a file is there but holds other events, or cannot be written.
    """
    tasks = production.tasks()
    waiting = [task for task in tasks if not task.is_done()]
    if len(waiting) < len(tasks):
        logger.info("%d of %d files are there already", len(tasks) - len(waiting), len(tasks))
    written = _write_in_turn(waiting) if production.num_processes == 1 else _write_side_by_side(waiting, production)
    with _shown_progress(sum(task.num_events for task in waiting)) as advance:
        for count in written:
            advance(count)


def _write_in_turn(tasks: list[FileTask]) -> Iterator[int]:
    """Write files in this process; yield the events written since the last time."""
    for task in tasks:
        yield from write_file(task)
        _report(task)


def _write_side_by_side(tasks: list[FileTask], production: Production) -> Iterator[int]:
    """Write files in several processes; yield the events of each finished file."""
    # Forking a process that has threads, as BLAS and the progress display do, may deadlock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(production.num_processes, context) as pool:
        try:
            futures = {pool.submit(_write_whole, task): task for task in tasks}
            for future in as_completed(futures):
                yield future.result()
                _report(futures[future])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_whole(task: FileTask) -> int:
    return sum(write_file(task))


def _report(task: FileTask) -> None:
    logger.info("%s: %d events", task.path, task.num_events)


@contextmanager
def _shown_progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield what to call with each number of new events; the bar appears on terminals alone."""
    with progress_bar(wanted=total > 0) as progress:
        bar = progress.add_task("simulate", total=total)
        yield lambda count: progress.advance(bar, count)
