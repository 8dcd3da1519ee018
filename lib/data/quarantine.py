"""Events that cannot be read, left out without a change of the order of the others."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
        self._by_path = {str(selection.file.path): selection for selection in selections}
        # Ranges may overlap: what one epoch divides, another reads as a whole.
        self._bad: dict[str, NDArray[np.int64]] = {path: np.empty(0, np.int64) for path in self._by_path}
        self._known: set[tuple[str, int, int]] = set()

    def add(self, faults: Sequence[Fault]) -> None:
        """Note faults; those that are known are passed over.

        Raises:
            DataError: If more than the allowed share of the selected events is affected.
        """
        for fault in faults:
            if not self._note(fault):
                continue
            logger.warning("%d events left out, noted in %s: %s", fault.num_events, self._report, fault.cause)
            self._report.parent.mkdir(parents=True, exist_ok=True)
            with self._report.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(fault)) + "\n")
        bad = sum(map(len, self._bad.values()))
        selected = sum(selection.num_selected for selection in self._selections)
        if faults and bad > self._share * selected:
            raise DataError(
                f"{bad} of {selected} events cannot be read, more than data.max_bad_share {self._share:g} allows; they "
                f"are listed in {self._report}. The last one: {faults[-1].cause}"
            )

    def _note(self, fault: Fault) -> bool:
        """Return whether a fault is new, and remember its events."""
        key = (fault.path, fault.start, fault.stop)
        if key in self._known:
            return False
        self._known.add(key)
        lost = self._by_path[fault.path].selected_between(fault.start, fault.stop)
        before = self._bad[fault.path]
        self._bad[fault.path] = np.union1d(before, lost)
        return len(self._bad[fault.path]) > len(before)

    def ledger(self) -> list[LedgerRow]:
        """Return what became of the events of each file, as far as they have been asked for."""
        rows = []
        for one in self._selections:
            path = str(one.file.path)
            lost = len(self._bad[path])
            rows.append(LedgerRow(path, one.file.num_entries, one.num_selected - lost, one.num_cut, lost))
        return rows
