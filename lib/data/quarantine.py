"""Events that cannot be read, left out without a change of the order of the others."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lib.data.config import DataConfig
from lib.data.selection import FileSelection
from lib.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fault:
    """Neighbouring events that cannot be read.

    Attributes:
        path: The input file.
        start: First entry.
        stop: One past the last entry.
        num_events: Selected events among them.
        cause: What was wrong.
    """

    path: str
    start: int
    stop: int
    num_events: int
    cause: str


@dataclass(frozen=True)
class LedgerRow:
    """Where the events of one file went: read = used + cut + quarantined."""

    path: str
    read: int
    used: int
    cut: int
    quarantined: int


class Quarantine:
    """Notes what cannot be read, and stops when it is too much."""

    def __init__(self, config: DataConfig, selections: Sequence[FileSelection]) -> None:
        self._report = Path(config.quarantine_report)
        self._share = config.max_bad_share
        self._selections = selections
        self._faults: dict[tuple[str, int, int], Fault] = {}

    def add(self, faults: Sequence[Fault]) -> None:
        """Note faults; those that are known are passed over.

        Raises:
            DataError: If more than the allowed share of the selected events is affected.
        """
        for fault in faults:
            key = (fault.path, fault.start, fault.stop)
            if key in self._faults:
                continue
            self._faults[key] = fault
            logger.warning("%d events left out, noted in %s: %s", fault.num_events, self._report, fault.cause)
            self._report.parent.mkdir(parents=True, exist_ok=True)
            with self._report.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(fault)) + "\n")
        bad = sum(fault.num_events for fault in self._faults.values())
        selected = sum(selection.num_selected for selection in self._selections)
        if bad > self._share * selected:
            raise DataError(
                f"{bad} of {selected} events cannot be read, more than data.max_bad_share {self._share:g} allows; they "
                f"are listed in {self._report}. The last one: {list(self._faults.values())[-1].cause}"
            )

    def ledger(self) -> list[LedgerRow]:
        """Return what became of the events of each file, as far as they have been asked for."""
        bad: Counter[str] = Counter()
        for fault in self._faults.values():
            bad[fault.path] += fault.num_events
        rows = []
        for one in self._selections:
            path = str(one.file.path)
            rows.append(LedgerRow(path, one.file.num_entries, one.num_selected - bad[path], one.num_cut, bad[path]))
        return rows
