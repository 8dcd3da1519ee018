"""ROOT files with one fault each, of every kind that a running experiment has produced.

For tests and benchmarks: what the loader makes of them says what it makes of the next bad file.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from lib.data.branches import EVENT, NO_VALUE, NPHO, RUN, TIME, TREE_NAME
from lib.data.trees.layout_index import record_hashes
from lib.data.trees.tree_reading import FloatArray
from lib.geometry.sensors import NUM_SENSORS

Events = dict[str, NDArray[Any]]

NUM_EVENTS: Final = 12
_PER_BASKET: Final = 4
CODECS: Final = {
    "none": None,
    "zstd": uproot.ZSTD(3),
    "lz4": uproot.LZ4(4),
    "zlib": uproot.ZLIB(1),
    "lzma": uproot.LZMA(1),
}


@dataclass(frozen=True, eq=False)
class Mutant:
    """A file with a fault.

    Attributes:
        kind: What was done to it.
        path: The file; there may be none.
        npho: What the file means to say, row by row; shape (events, 4760). Without a fault in the reading it is read.
        time: Like npho.
        event: Event number of each row.
        after_start: Spoils the file when the loader has looked at it already.
    """

    kind: str
    path: Path
    npho: FloatArray
    time: FloatArray
    event: NDArray[np.int64]
    after_start: Callable[[], None] = field(default=lambda: None)


class MutantMaker:
    """Makes mutants, one after the other.

    Args:
        folder: Where they lie; each has a folder of its own.
        seed: Of events and faults.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = np.random.default_rng(seed)
        self._count = 0
        self._events = _some_events(self._rng)
        self._sound = {}
        for codec in CODECS:
            self._sound[codec] = (self._write(self._events, codec, folder / f"sound_{codec}.root")).read_bytes()

    def make(self, kind: str) -> Mutant:
        """Return a mutant of a kind of ``KINDS``."""
        self._count += 1
        place = self._folder / f"mutant_{self._count:05d}.root"
        return _MAKERS[kind](self, kind, place)

    def sound(self, place: Path, first_event: int) -> Path:
        """Write a file without a fault, of other events."""
        events = {**self._events, EVENT: np.arange(first_event, first_event + NUM_EVENTS)}
        return self._write(events, "zstd", place)

    def _codec(self) -> str:
        return list(CODECS)[int(self._rng.integers(len(CODECS)))]

    def _write(self, events: Events, codec: str, place: Path, tree: str = TREE_NAME) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        with uproot.recreate(place, compression=CODECS[codec]) as file:
            file.mktree(tree, {name: (values.dtype, values.shape[1:]) for name, values in events.items()})
            for start in range(0, len(next(iter(events.values()))), _PER_BASKET):
                file[tree].extend({name: values[start : start + _PER_BASKET] for name, values in events.items()})
        return place

    def _copy(self, place: Path) -> tuple[str, Path]:
        codec = self._codec()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self._sound[codec])
        return codec, place

    def _of(self, kind: str, place: Path, events: Events, after_start: Callable[[], None] | None = None) -> Mutant:
        npho, time = (np.asarray(events[name], np.float64).astype(np.float32) for name in (NPHO, TIME))
        return Mutant(kind, place, npho, time, events[EVENT], after_start or (lambda: None))

    def truncated(self, kind: str, place: Path) -> Mutant:
        """Cut the file anywhere."""
        codec, _ = self._copy(place)
        size = len(self._sound[codec])
        os.truncate(place, int(self._rng.integers(1, size)))
        return self._of(kind, place, self._events)

    def cut_in_use(self, kind: str, place: Path) -> Mutant:
        """Cut the file after the start."""
        codec, _ = self._copy(place)
        length = int(self._rng.integers(1, len(self._sound[codec])))
        return self._of(kind, place, self._events, lambda: os.truncate(place, length))

    def replaced(self, kind: str, place: Path) -> Mutant:
        """Write no ROOT file under the name of one: nothing, text, or a damaged beginning."""
        _, _ = self._copy(place)
        content = place.read_bytes()
        choices = (b"", b"run 4711: see the logbook\n", b"rook" + content[4:], bytes(200), content[:4] + bytes(300))
        place.write_bytes(choices[int(self._rng.integers(len(choices)))])
        return self._of(kind, place, self._events)

    def other_tree(self, kind: str, place: Path) -> Mutant:
        """Write another tree."""
        self._write(self._events, self._codec(), place, tree="Events")
        return self._of(kind, place, self._events)

    def missing_branch(self, kind: str, place: Path) -> Mutant:
        """Leave out a branch of sensors."""
        missing = (NPHO, TIME)[int(self._rng.integers(2))]
        self._write({name: values for name, values in self._events.items() if name != missing}, self._codec(), place)
        return self._of(kind, place, self._events)

    def width(self, kind: str, place: Path) -> Mutant:
        """Give a branch another number of sensors."""
        count = int(self._rng.choice([1, 4700, 4759, 4761]))
        self._write({**self._events, TIME: np.zeros((NUM_EVENTS, count), np.float32)}, self._codec(), place)
        return self._of(kind, place, self._events)

    def number_type(self, kind: str, place: Path) -> Mutant:
        """Store photon counts as another type, which is converted."""
        stored = np.dtype(("f8", "i4", "i8", "u2")[int(self._rng.integers(4))])
        npho = np.clip(self._events[NPHO], 0, 60000).astype(stored)
        events = {**self._events, NPHO: npho}
        self._write(events, self._codec(), place)
        return self._of(kind, place, events)

    def jagged(self, kind: str, place: Path) -> Mutant:
        """Give each event another number of sensors."""
        lengths = self._rng.integers(0, NUM_SENSORS, NUM_EVENTS)
        place.parent.mkdir(parents=True, exist_ok=True)
        with uproot.recreate(place) as file:
            ragged = ak.unflatten(self._rng.random(lengths.sum()).astype(np.float32), lengths)
            file[TREE_NAME] = {**self._events, NPHO: ragged}
        return self._of(kind, place, self._events)

    def no_entries(self, kind: str, place: Path) -> Mutant:
        """Write a tree without events."""
        self._write({name: values[:0] for name, values in self._events.items()}, "none", place)
        return self._of(kind, place, self._events)

    def odd_values(self, kind: str, place: Path) -> Mutant:
        """Store NaN, infinities, or numbers near the end of float32."""
        value = {"nan": np.nan, "inf": np.inf, "huge": 3e38}[kind]
        events = {**self._events, NPHO: self._events[NPHO].copy(), TIME: self._events[TIME].copy()}
        for name in (NPHO, TIME):
            spots = self._rng.random(events[name].shape) < 0.01
            events[name][spots] = value * self._rng.choice([-1.0, 1.0])
        self._write(events, self._codec(), place)
        return self._of(kind, place, events)

    def unordered(self, kind: str, place: Path) -> Mutant:
        """Give run and event numbers that repeat, or do not ascend."""
        numbers = self._rng.permutation(NUM_EVENTS)
        if kind == "duplicate":
            numbers[int(self._rng.integers(1, NUM_EVENTS))] = numbers[0]
        events = {**self._events, EVENT: numbers.astype(np.int64)}
        self._write(events, self._codec(), place)
        return self._of(kind, place, events)

    def bit_flip(self, kind: str, place: Path) -> Mutant:
        """Record hashes, start, and flip a bit in a basket; size and time stay the same."""
        _, _ = self._copy(place)
        record_hashes(place, TREE_NAME)
        content = bytearray(place.read_bytes())
        position, bit = int(self._rng.integers(len(content))), int(self._rng.integers(8))
        content[position] ^= 1 << bit

        def flip() -> None:
            status = place.stat()
            with place.open("r+b") as file:
                file.seek(position)
                file.write(content[position : position + 1])
            os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))

        if self._rng.random() < 0.5:
            flip()
            return self._of(kind, place, self._events)
        return self._of(kind, place, self._events, flip)

    def unreadable(self, kind: str, place: Path) -> Mutant:
        """Put something in the file's place that cannot be read: a link to nowhere, or a file without permission."""
        if self._rng.random() < 0.5:
            place.symlink_to(place.with_name("nowhere.root"))
        else:
            # Permissions do not stop the superuser, for whom this file is sound.
            self._copy(place)
            place.chmod(0)
        return self._of(kind, place, self._events)

    def vanishing(self, kind: str, place: Path) -> Mutant:
        """Remove the file after the start."""
        self._copy(place)
        return self._of(kind, place, self._events, place.unlink)


_MAKERS: Final[dict[str, Callable[[MutantMaker, str, Path], Mutant]]] = {
    "truncated": MutantMaker.truncated,
    "cut_in_use": MutantMaker.cut_in_use,
    "replaced": MutantMaker.replaced,
    "other_tree": MutantMaker.other_tree,
    "missing_branch": MutantMaker.missing_branch,
    "width": MutantMaker.width,
    "number_type": MutantMaker.number_type,
    "jagged": MutantMaker.jagged,
    "no_entries": MutantMaker.no_entries,
    "nan": MutantMaker.odd_values,
    "inf": MutantMaker.odd_values,
    "huge": MutantMaker.odd_values,
    "duplicate": MutantMaker.unordered,
    "unsorted": MutantMaker.unordered,
    "bit_flip": MutantMaker.bit_flip,
    "unreadable": MutantMaker.unreadable,
    "vanishing": MutantMaker.vanishing,
}
KINDS: Final = tuple(_MAKERS)


def _some_events(rng: np.random.Generator) -> Events:
    npho = rng.exponential(100.0, (NUM_EVENTS, NUM_SENSORS)).astype(np.float32)
    time = rng.normal(0.0, 2e-8, (NUM_EVENTS, NUM_SENSORS)).astype(np.float32)
    # Whole numbers compress, so that the codecs have something to do.
    npho[:, ::2] = npho[:, ::2].round()
    npho[:, 7], time[:, 8] = NO_VALUE, NO_VALUE
    return {NPHO: npho, TIME: time, RUN: np.full(NUM_EVENTS, 3), EVENT: np.arange(NUM_EVENTS)}
