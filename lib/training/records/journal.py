"""Every metric of a run, line by line on disk: the truth that MLflow follows."""

import json
import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.atomic import flush_folder
from lib.training.epoch_sums import CLOCK_METRICS

logger = logging.getLogger(__name__)

JOURNAL_NAME = "metrics.jsonl"


@dataclass(frozen=True)
class Record:
    """Metrics at one point of a run.

    Attributes:
        step: Epoch that the metrics belong to.
        time_ms: Milliseconds since 1970.
        metrics: Values by name.
    """

    step: int
    time_ms: int
    metrics: dict[str, float]


class Journal:
    """Appends records to a JSONL file and sees them onto the disk.

    Epochs come in order. One that a resumed run repeats stands once: the file keeps its first record, unless the run
    was resumed with other settings and the values differ; the new record then takes the place of the old one and of all
    after it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        folder.mkdir(parents=True, exist_ok=True)
        # A last line that a crash cut short is overwritten; the next record would be glued to it.
        self._size = _whole_lines(self.path)
        # What a resumed run may say again; a record is let go of as soon as a later one is written.
        self._known = {record.step: record for record in read_journal(self.path)}
        self._unwritten: list[Record] = []

    def append(self, step: int, metrics: dict[str, float]) -> Record:
        """Write one record durably and return it, or the one that is there if it says the same.

        A disk that refuses is a warning; the record is kept and written with the next one.
        """
        known = self._known.get(step)
        if known is not None and _same(known.metrics, metrics):
            self._known = {later: kept for later, kept in self._known.items() if later >= step}
            return known
        record = Record(step, int(time.time() * 1000), metrics)
        self._known = {step: record}
        self._unwritten.append(record)
        self.flush()
        return record

    def flush(self) -> None:
        """Write what is not on the disk yet; a disk that refuses is a warning."""
        if not self._unwritten:
            return
        content = "".join(_line(record) for record in self._unwritten).encode()
        try:
            with self.path.open("ab") as file:
                # An earlier attempt may have left half of it.
                file.truncate(self._size)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if not self._size:
                # A file that has just been made.
                flush_folder(self.path.parent)
        except OSError as error:
            waiting = len(self._unwritten)
            logger.warning("%s: cannot be written (%s); %d records wait for the next epoch", self.path, error, waiting)
            return
        self._size += len(content)
        self._unwritten = []

    def read(self) -> list[Record]:
        """Return the records on disk in order, each epoch once."""
        return read_journal(self.path)


def read_journal(path: Path) -> list[Record]:
    """Return the records of a journal in order, each epoch once; a last line that was cut short is left out."""
    records: dict[int, Record] = {}
    if not path.exists():
        return []
    for line in path.read_bytes()[: _whole_lines(path)].decode().splitlines():
        entry = json.loads(line)
        metrics = {name: math.nan if value is None else value for name, value in entry["metrics"].items()}
        record = Record(entry["step"], entry["time_ms"], metrics)
        records = {step: kept for step, kept in records.items() if step < record.step}
        records[record.step] = record
    return list(records.values())


def _line(record: Record) -> str:
    entry = {"step": record.step, "time_ms": record.time_ms, "metrics": _plain(record.metrics)}
    return json.dumps(entry) + "\n"


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as JSON has them: no NaN; null reads back as one."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def _same(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    """Return True if two epochs say the same, apart from how long they took."""
    mine, theirs = ({n: v for n, v in _plain(each).items() if n not in CLOCK_METRICS} for each in (first, second))
    return mine == theirs


def _whole_lines(path: Path) -> int:
    """Return how many bytes of a file belong to finished lines."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
