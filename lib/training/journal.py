"""Every metric of a run, line by line on disk: the truth that MLflow follows."""

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

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
    """Appends records to a JSONL file and sees them onto the disk."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_NAME
        folder.mkdir(parents=True, exist_ok=True)
        self._drop_cut_line()

    def _drop_cut_line(self) -> None:
        """Remove a last line that a crash cut short; the next record would be glued to it."""
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)

    def append(self, step: int, metrics: dict[str, float]) -> Record:
        """Write one record durably and return it."""
        record = Record(step, int(time.time() * 1000), metrics)
        # JSON has no NaN; null reads back as one.
        plain = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        line = json.dumps({"step": record.step, "time_ms": record.time_ms, "metrics": plain})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        return record

    def read(self) -> list[Record]:
        """Return all records in order; a last line that was cut short is left out.

        An epoch that was repeated after a crash stands as often as it was finished.
        """
        if not self.path.exists():
            return []
        records = []
        for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            entry = json.loads(line)
            metrics = {name: math.nan if value is None else value for name, value in entry["metrics"].items()}
            records.append(Record(entry["step"], entry["time_ms"], metrics))
        return records
