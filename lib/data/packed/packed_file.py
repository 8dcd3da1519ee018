"""One input file in packed form: network inputs in 16 bits, ready in memory order.

A packed file holds, one after the other, the levels of all events, their scales and sums, truth, run and event. Beside
it lies a manifest, written last, that says what it was made from.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lib.data.packed.packed_kernel import PackedRows
from lib.data.trees.schema import BRANCH_WIDTHS
from lib.errors import DataError
from lib.geometry.sensors import NUM_SENSORS

VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """What a packed file was made from, and what it holds.

    Attributes:
        version: Of the form of packed files.
        source: Path of the input file.
        source_size: Its bytes.
        source_mtime_ns: Its time of change.
        source_sha256: Hash of its content.
        tree_name: Tree that was read.
        npho_branch: Branch of photon counts.
        time_branch: Branch of sensor times.
        normalization: Fingerprint of the normalization that was applied.
        num_events: Events, all of the tree.
        truth_branches: Truth that is stored.
        tail_sha256: Hash of all that follows the levels. Each row of levels has a sum of its own.
    """

    version: int
    source: str
    source_size: int
    source_mtime_ns: int
    source_sha256: str
    tree_name: str
    npho_branch: str
    time_branch: str
    normalization: str
    num_events: int
    truth_branches: tuple[str, ...]
    tail_sha256: str

    def to_json(self) -> str:
        """Return the manifest as text."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, place: Path) -> "Manifest":
        """Read a manifest.

        Raises:
            DataError: If it is no manifest of this version.
        """
        try:
            values = json.loads(place.read_text(encoding="utf-8"))
            if values["version"] != VERSION:
                raise DataError(f"{place}: packed in form {values['version']}, expected {VERSION}. Build it anew.")
            return cls(**{**values, "truth_branches": tuple(values["truth_branches"])})
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DataError(f"{place}: no manifest of a packed file ({error}). Build it anew.") from error


@dataclass(frozen=True, eq=False)
class PackedEvents:
    """The events of a packed file.

    Attributes:
        rows: Sensors; the levels are mapped from the file.
        truth: Stored truth by branch name, shape (n, width), float32.
        run: Run number, shape (n,), int64.
        event: Event number, shape (n,), int64.
    """

    rows: PackedRows
    truth: dict[str, NDArray[np.float32]]
    run: NDArray[np.int64]
    event: NDArray[np.int64]


def manifest_of(place: Path) -> Path:
    """Return where the manifest of a packed file lies."""
    return place.with_suffix(".json")


def write_tail(file: BinaryIO, events: PackedEvents) -> str:
    """Append all but the levels, and return the hash of what was written."""
    content = b"".join(array.tobytes() for array in _tail_arrays(events))
    file.write(content)
    return hashlib.sha256(content).hexdigest()


def open_packed(place: Path, manifest: Manifest) -> PackedEvents:
    """Map a packed file; everything but the levels is read and verified.

    Raises:
        DataError: If the file is not as long as it should be, or damaged.
    """
    count = manifest.num_events
    level_bytes = count * NUM_SENSORS * 2 * 2
    events = empty_tail(count, manifest.truth_branches)
    arrays = _tail_arrays(events)
    expected = level_bytes + sum(array.nbytes for array in arrays)
    size = place.stat().st_size if place.exists() else 0
    if size != expected:
        raise DataError(f"{place}: {size} bytes where {expected} are expected. The packed file is incomplete.")
    with place.open("rb") as file:
        file.seek(level_bytes)
        content = file.read()
    if hashlib.sha256(content).hexdigest() != manifest.tail_sha256:
        raise DataError(f"{place}: the packed file is damaged; its hash differs. Remove it or build it anew.")
    begin = 0
    for array in arrays:
        array.reshape(-1)[:] = np.frombuffer(content, array.dtype, array.size, begin)
        begin += array.nbytes
    levels: Any = np.memmap(place, np.uint16, "r", shape=(count, NUM_SENSORS, 2))
    rows = PackedRows(np.asarray(levels), events.rows.scales, events.rows.sums)
    return PackedEvents(rows, events.truth, events.run, events.event)


def _tail_arrays(events: PackedEvents) -> list[NDArray[Any]]:
    return [events.rows.scales, events.rows.sums, events.run, events.event, *events.truth.values()]


def empty_tail(count: int, truth_branches: Sequence[str]) -> PackedEvents:
    """Return events without levels; all the rest is to be filled.

    Args:
        count: Events.
        truth_branches: Truth that they have.
    """
    nothing = np.empty((0, NUM_SENSORS, 2), np.uint16)
    rows = PackedRows(nothing, np.empty((count, 2, 2), np.float32), np.empty(count, np.uint64))
    truth = {name: np.empty((count, BRANCH_WIDTHS[name]), np.float32) for name in truth_branches}
    return PackedEvents(rows, truth, np.empty(count, np.int64), np.empty(count, np.int64))
