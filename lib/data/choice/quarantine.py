"""Events that cannot be read, left out without a change of the order of the others."""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.data.choice.selection import FileSelection
from lib.data.config import DataConfig
from lib.data.trees.schema import FileSchema
from lib.errors import DataError

logger = logging.getLogger(__name__)

# As every error of reading writes it.
_BRANCH = re.compile(r"branch '([^']+)'")


@dataclass(frozen=True)
class Fault:
    """Neighbouring events that cannot be read.

    Attributes:
        path: The input file.
        tree: Its tree.
        branch: The branch that failed; empty where all of the file did, or where it is not known.
        start: First entry.
        stop: One past the last entry.
        num_events: Selected events among them.
        cause: What was wrong.
    """

    path: str
    tree: str
    branch: str
    start: int
    stop: int
    num_events: int
    cause: str

    @classmethod
    def of_error(cls, file: FileSchema, tree: str, entries: tuple[int, int], num_events: int, error: str) -> "Fault":
        """Return the fault that an error of reading tells of; its message names the branch."""
        found = _BRANCH.search(error)
        return cls(str(file.path), tree, found[1] if found else "", *entries, num_events, error)


@dataclass(frozen=True)
class RefusedFile:
    """A file of which nothing is read.

    Attributes:
        path: The file.
        num_entries: Its events; 0 where that cannot be found out.
        cause: What is wrong.
    """

    path: str
    num_entries: int
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
    """Notes what cannot be read, and stops when it is too much.

    Args:
        config: Says how much is too much, and where to note.
        selections: The selected events.
        refused: Files of which nothing is read; where their events are not known they count like the others' mean.

    Raises:
        DataError: If the files that are refused are too much.
    """

    def __init__(
        self, config: DataConfig, selections: Sequence[FileSelection], refused: Sequence[RefusedFile] = ()
    ) -> None:
        self._report = Path(config.quarantine_report)
        self._share = config.max_bad_share
        self._selections = selections
        self._by_path = {str(selection.file.path): selection for selection in selections}
        # Ranges may overlap: what one epoch divides, another reads as a whole.
        self._bad: dict[str, NDArray[np.int64]] = {path: np.empty(0, np.int64) for path in self._by_path}
        self._known: set[tuple[str, int, int]] = set()
        self._refused = refused
        mean = sum(one.file.num_entries for one in selections) / max(len(selections), 1)
        self._num_refused = sum(one.num_entries or round(mean) for one in refused)
        for one in refused:
            self._write(Fault(one.path, config.tree_name, "", 0, one.num_entries, one.num_entries, one.cause))
        if refused:
            self._require_few(refused[-1].cause)

    def add(self, faults: Sequence[Fault]) -> None:
        """Note faults; those that are known are passed over.

        Raises:
            DataError: If more than the allowed share of the selected events is affected.
        """
        for fault in faults:
            if self._note(fault):
                self._write(fault)
        if faults:
            self._require_few(faults[-1].cause)

    def _write(self, fault: Fault) -> None:
        logger.warning("%d events left out, noted in %s: %s", fault.num_events, self._report, fault.cause)
        try:
            self._report.parent.mkdir(parents=True, exist_ok=True)
            with self._report.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(fault)) + "\n")
        except OSError as error:
            logger.warning("%s: cannot be written (%s); set data.quarantine_report", self._report, error)

    def _require_few(self, last_cause: str) -> None:
        bad = sum(map(len, self._bad.values())) + self._num_refused
        selected = sum(selection.num_selected for selection in self._selections) + self._num_refused
        if bad > self._share * selected:
            raise DataError(
                f"{bad} of {selected} events cannot be read, more than data.max_bad_share {self._share:g} allows; they "
                f"are listed in {self._report}. The last one: {last_cause}"
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
        rows = [LedgerRow(one.path, one.num_entries, 0, 0, one.num_entries) for one in self._refused]
        for one in self._selections:
            path = str(one.file.path)
            lost = len(self._bad[path])
            rows.append(LedgerRow(path, one.file.num_entries, one.num_selected - lost, one.num_cut, lost))
        return sorted(rows, key=lambda row: row.path)
