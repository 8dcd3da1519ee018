"""What a packed cache holds, and whether it can be trusted."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib.data.choice.quarantine import LedgerRow
from lib.data.files.file_bytes import FileState, open_bytes
from lib.data.files.location import input_path
from lib.data.packed.packed_file import Manifest, PackedEvents, open_packed
from lib.data.packed.packed_kernel import row_sums
from lib.data.packed.packing import file_hash
from lib.errors import DataError

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class CacheEntry:
    """One packed file.

    Attributes:
        place: The packed file.
        source: The input file that it was made from; empty without a manifest.
        normalization: Fingerprint of the normalization.
        num_events: Events in it.
        megabytes: Its size.
        state: Current, made from a file that changed or is gone, damaged or incomplete, or not finished.
        fault: Why it cannot be used; empty when it can.
        num_damaged: Events whose rows differ from their sums, as far as they were read.
    """

    place: str
    source: str
    normalization: str
    num_events: int
    megabytes: float
    state: Literal["current", "stale", "damaged", "partial"]
    fault: str = ""
    num_damaged: int = 0

    @property
    def ledger(self) -> LedgerRow:
        """Where the events of the input file are; cuts are applied when a cache is read, never when it is built."""
        usable = 0 if self.fault and not self.num_damaged else self.num_events - self.num_damaged
        return LedgerRow(self.source, self.num_events, usable, 0, self.num_events - usable)


def scan_cache(folder: Path, *, verify: bool) -> list[CacheEntry]:
    """Return what lies in a cache, sorted by name.

    Args:
        folder: The cache.
        verify: Whether to read every row and to hash every input file, instead of comparing sizes and times.

    Raises:
        DataError: If the folder is not there.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. Build the cache with python macro/build_cache.py.")
    entries = [_examine(place, verify=verify) for place in sorted(folder.glob("*.json"))]
    return [*entries, *_unfinished(folder)]


def _unfinished(folder: Path) -> Iterator[CacheEntry]:
    for place in sorted([*folder.glob("*.packed"), *folder.glob(".*.partial.packed")]):
        if not place.with_suffix(".json").exists():
            fault = "has no manifest: its building was ended. It is built again when needed; remove it otherwise."
            yield CacheEntry(str(place), "", "", 0, place.stat().st_size / 1e6, "partial", fault)


def _examine(manifest_place: Path, *, verify: bool) -> CacheEntry:
    place = manifest_place.with_suffix(".packed")
    megabytes = place.stat().st_size / 1e6 if place.exists() else 0.0
    try:
        manifest = Manifest.read(manifest_place)
    except DataError as error:
        return CacheEntry(str(place), "", "", 0, megabytes, "damaged", str(error))
    about = (str(place), manifest.source, manifest.normalization, manifest.num_events, megabytes)
    stale = _source_fault(manifest, verify=verify)
    if stale:
        return CacheEntry(*about, "stale", stale)
    try:
        events = open_packed(place, manifest)
    except DataError as error:
        return CacheEntry(*about, "damaged", str(error))
    damaged = damaged_rows(events) if verify else 0
    if damaged:
        fault = f"{damaged} of {manifest.num_events} rows differ from their sums."
        return CacheEntry(*about, "damaged", fault, damaged)
    return CacheEntry(*about, "current")


def _source_fault(manifest: Manifest, *, verify: bool) -> str:
    source = input_path(manifest.source)
    try:
        state = open_bytes(source).state
    except FileNotFoundError:
        return "the input file is gone."
    except (OSError, DataError) as error:
        return f"the input file cannot be had ({error})."
    if state != FileState(manifest.source_size, manifest.source_mtime_ns):
        return "the input file changed since; build the cache again."
    if verify and file_hash(source) != manifest.source_sha256:
        return "the input file has other content, but the same size and time: suspect the disk."
    return ""


def damaged_rows(events: PackedEvents) -> int:
    """Return how many rows differ from their sums; reads all of them."""
    values, sums = events.rows.values, events.rows.sums
    starts = range(0, len(values), _ROWS_AT_ONCE)
    parts = (slice(start, start + _ROWS_AT_ONCE) for start in starts)
    return sum(int(np.count_nonzero(row_sums(values[part]) != sums[part])) for part in parts)
