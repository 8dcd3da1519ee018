"""Loader processes that die or hang are replaced where they stood, and the order of events does not change."""

import logging
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lib.data.config import DataConfig, NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.pools.pool import PoolDataset
from lib.data.pools.pool_processes import PoolProcesses
from lib.data.pools.root_stream import RootStream
from lib.data.stream import open_stream
from lib.errors import DataError
from tests.data.root_files import make_events, write_root

pytestmark = pytest.mark.kill

FILES, EVENTS = 4, 48


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for index in range(FILES):
        write_root(folder / f"{index}.root", make_events(EVENTS, first_event=1000 * index))
    return folder


def open_training(files: Path, workers: int, **settings: Any) -> RootStream:
    values = {"train_path": str(files), "val_path": str(files), "batch_size": 4, "chunksize": 12, "num_threads": 1}
    config = DataConfig.model_validate({**values, "num_workers": workers, **settings})
    stream = open_stream(config, Normalization.from_config(NormalizationConfig()), (), split="train", seed=1)
    assert isinstance(stream, RootStream)
    return stream


def events_of(stream: RootStream, epoch: int = 0) -> list[list[int]]:
    return [batch.event.tolist() for batch in stream.epoch(epoch)]


def workers_of(stream: RootStream) -> list[int]:
    assert stream._processes is not None
    return [worker.process.pid or 0 for worker in stream._processes._workers]


class Marked(PoolDataset):
    """A loader process that does what a file beside the data says, as often as that says, before its n-th pool."""

    order: Path
    pools = 0

    def __getitem__(self, request: Any) -> Any:
        self.pools += 1
        what, _, rest = self.order.read_text().partition(" ")
        files = {self._selections[block.file_index].file.path.name for block in request.pool.blocks}
        name, left = rest.split()
        if what != "nothing" and name in files and int(left):
            self.order.write_text(f"{what} {name} {int(left) - 1}")
            if what == "hang":
                time.sleep(600)
            if what == "fail":
                raise MemoryError("no memory for this")
            if what == "leave":
                os._exit(7)
            os.kill(os.getpid(), signal.Signals[what])
        return super().__getitem__(request)


def marked(files: Path, tmp_path: Path, order: str, workers: int = 1, **settings: Any) -> RootStream:
    stream = open_training(files, workers, **settings)
    stream._dataset.__class__ = Marked
    stream._dataset.order = tmp_path / "order"  # type: ignore[attr-defined]
    (tmp_path / "order").write_text(order)
    return stream


@pytest.fixture(scope="module")
def straight(files: Path) -> list[list[int]]:
    return events_of(open_training(files, 0))


def prove(files: Path, straight: list[list[int]], kills: int, seed: int) -> int:
    """Kill random workers at random batches of consecutive epochs; return how many were killed."""
    rng = random.Random(seed)
    stream = open_training(files, 2, prefetch_factor=2)
    done = 0
    while done < kills:
        due = set(rng.sample(range(1, len(straight)), 5))
        seen = []
        for number, batch in enumerate(stream.epoch(0)):
            if number in due:
                # One that was killed before may just be about to be replaced.
                with suppress(ProcessLookupError):
                    os.kill(rng.choice(workers_of(stream)), rng.choice([signal.SIGKILL, signal.SIGSEGV]))
                    done += 1
            seen.append(batch.event.tolist())
        assert seen == straight
    return done


def test_workers_killed_at_random_batches_change_no_order(files: Path, straight: list[list[int]]) -> None:
    assert prove(files, straight, kills=5, seed=0) >= 5


@pytest.mark.slow
def test_workers_killed_at_fifty_batches_change_no_order(files: Path, straight: list[list[int]]) -> None:
    assert prove(files, straight, kills=50, seed=1) >= 50


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "leave"])
def test_a_worker_that_dies_while_it_reads_is_replaced_and_the_file_named(
    files: Path, tmp_path: Path, straight: list[list[int]], caplog: pytest.LogCaptureFixture, how: str
) -> None:
    assert events_of(marked(files, tmp_path, f"{how} 2.root 2")) == straight
    told = "ended with exit code 7" if how == "leave" else f"was killed by {how}"
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(messages) == 2
    assert all(told in message and "2.root" in message and "another goes on" in message for message in messages)


def test_the_third_death_at_one_place_stops_with_the_file_named(files: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"2\.root: reading ended 3 loader processes in a row.*SIGKILL(.|\n)*num_workers"
    ):
        events_of(marked(files, tmp_path, "SIGKILL 2.root 9", workers=2))


def test_a_worker_that_hangs_is_ended_and_replaced(
    files: Path, tmp_path: Path, straight: list[list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    assert events_of(marked(files, tmp_path, "hang 2.root 1", worker_timeout=1.0)) == straight
    assert "nothing for 1 s, so it is ended" in caplog.text


def test_a_stopped_worker_counts_as_hanging(files: Path, straight: list[list[int]]) -> None:
    stream = open_training(files, 1, worker_timeout=1.0)
    seen = []
    for number, batch in enumerate(stream.epoch(0)):
        if number == 2:
            os.kill(workers_of(stream)[0], signal.SIGSTOP)
        seen.append(batch.event.tolist())
    assert seen == straight


def test_an_error_of_the_program_is_raised_with_its_traceback(files: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"a loader process failed:\n(.|\n)*MemoryError: no memory for this"):
        events_of(marked(files, tmp_path, "fail 2.root 1"))


def test_workers_that_died_between_two_epochs_are_replaced(files: Path, straight: list[list[int]]) -> None:
    stream = open_training(files, 2)
    assert events_of(stream) == straight
    for worker in workers_of(stream):
        os.kill(worker, signal.SIGKILL)
    assert events_of(stream) == straight


def test_an_epoch_that_was_left_leaves_nothing_behind_for_the_next(files: Path, straight: list[list[int]]) -> None:
    stream = open_training(files, 2, prefetch_factor=3)
    for _ in zip(range(3), stream.epoch(7), strict=False):
        pass
    assert events_of(stream) == straight


def test_workers_end_when_nobody_holds_them(files: Path) -> None:
    stream = open_training(files, 1)
    next(batches := stream.epoch(0))
    processes: PoolProcesses | None = stream._processes
    assert processes is not None
    process = processes._workers[0].process
    del stream, batches, processes
    process.join(30)
    assert process.exitcode == 0


def test_many_requests_ahead_never_block_both_ends(files: Path) -> None:
    """More is asked for, and answered, than fits between two processes at a time."""
    stream = open_training(files, 1, chunksize=1, batch_size=1, prefetch_factor=64)
    batches: Iterator[Any] = stream.epoch(0)
    next(batches)
    time.sleep(0.5)
    assert 1 + sum(1 for _ in batches) == FILES * EVENTS
