"""What a run notes about its events: where those of each file went, and how many photon counts are no value."""

import csv
import logging
from collections.abc import Mapping
from dataclasses import astuple, fields
from pathlib import Path

from lib.atomic import atomic_path
from lib.data.choice.quarantine import LedgerRow
from lib.data.stream import EventStream

logger = logging.getLogger(__name__)

LEDGER_NAME = "event_ledger.csv"


class DataRecord:
    """Writes the ledger of a run's events and names their metrics.

    Args:
        streams: The batches of each split, ``train`` and ``val``.
        folder: Folder of the run.
    """

    def __init__(self, streams: Mapping[str, EventStream], folder: Path) -> None:
        self._streams = streams
        self._path = folder / LEDGER_NAME
        self._written: list[tuple[str, LedgerRow]] = []

    def epoch_metrics(self) -> dict[str, float]:
        """Return metrics of the epoch that ended, and log what they say; none unless ``data.log_invalid_npho``."""
        metrics: dict[str, float] = {}
        for split, stream in self._streams.items():
            count = stream.npho_count()
            if count is not None:
                logger.info("%s: %s", split, count)
                metrics |= count.metrics(split)
        return metrics

    def write_ledger(self) -> Path | None:
        """Write, where it changed, where the events of each file went: read = used + cut + quarantined.

        Returns:
            The file; None if the disk refuses, which is a warning.
        """
        rows = [(split, row) for split, stream in self._streams.items() for row in stream.ledger()]
        if rows == self._written:
            return self._path
        try:
            with atomic_path(self._path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["split", *(field.name for field in fields(LedgerRow))])
                writer.writerows([split, *astuple(row)] for split, row in rows)
        except OSError as error:
            logger.warning("%s: cannot be written (%s)", self._path, error)
            return None
        self._written = rows
        return self._path
