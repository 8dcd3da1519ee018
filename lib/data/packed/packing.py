"""Input files to packed files, several ranges of events at a time."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

import numpy as np

from lib.atomic import atomic_path
from lib.data.branches import TRUTH_WIDTHS
from lib.data.choice.order import MIN_BLOCK, cut_file
from lib.data.files.file_bytes import LocalBytes, open_bytes, open_unchanged
from lib.data.files.location import InputPath
from lib.data.packed.cache_settings import CacheSettings
from lib.data.packed.packed_file import VERSION, Manifest, PackedEvents, empty_tail, manifest_of, write_tail
from lib.data.packed.packed_kernel import ROW_BYTES, packed_kernel
from lib.data.pools.event_rows import EventRows, RowMemory
from lib.data.pools.read_ahead import map_ahead
from lib.data.pools.sensor_kernel import sensor_kernel
from lib.data.trees.schema import BranchPlan, FileSchema
from lib.data.trees.source import EventReader, SensorPiece
from lib.data.trees.tree_reading import read_errors

# While one file is brought to the disk, the next one is packed.
_FILES_AT_ONCE = 2

# Enough for a disk, or a server, to be busy.
_HASH_BYTES = 1 << 24

# Events that are normalized, packed and written while they are in the cache of the processor.
_SLICE_EVENTS = 16

# A range ends where a basket ends, so that none is decompressed twice, except for baskets larger than this.
_LARGEST_RANGE = 4096


def pack_files(files: Sequence[FileSchema], settings: CacheSettings) -> Iterator[InputPath]:
    """Pack files and yield the path of each one that is done.

    Raises:
        DataError: If a file cannot be read, or changes meanwhile. Packed files that were finished stay.
    """
    with ThreadPoolExecutor(settings.num_threads, "pack") as threads:
        packer = _Packer(settings, threads)
        for file in map_ahead(packer.pack_file, files, ahead=_FILES_AT_ONCE):
            yield file.path


def file_hash(path: InputPath) -> str:
    """Return the SHA-256 of a file's content as hex digits."""
    with read_errors(path):
        source = open_bytes(path)
        mapped = source.map if isinstance(source, LocalBytes) else None
        if mapped is not None:
            # Copies of what is in memory anyway would cost a tenth of the hash.
            digest = hashlib.sha256(mapped.content.data)
            if not mapped.lost:
                return digest.hexdigest()
        digest = hashlib.sha256()
        memory = np.empty(min(_HASH_BYTES, source.state.size), np.uint8)
        for place in range(0, source.state.size, _HASH_BYTES):
            part = memory[: source.state.size - place]
            source.read(place, part)
            digest.update(part.data)
    return digest.hexdigest()


class _Packer:
    """Packs files in given threads; several may be under way."""

    def __init__(self, settings: CacheSettings, threads: ThreadPoolExecutor) -> None:
        self._settings = settings
        self._threads = threads
        normalization = settings.normalization
        self._memory = RowMemory(_SLICE_EVENTS, ())
        self._normalize = sensor_kernel(normalization, compiled=settings.compiled)
        sentinels = (normalization.sentinel_npho, normalization.sentinel_time)
        self._kernel = packed_kernel(sentinels, compiled=settings.compiled)

    def pack_file(self, file: FileSchema) -> FileSchema:
        """Pack one file and return it."""
        plan = _stored_branches(file, self._settings.plan)
        place = self._settings.place(file)
        # The manifest of an older state may not describe the new content for a moment.
        manifest_of(place).unlink(missing_ok=True)
        with ThreadPoolExecutor(1) as hashing, atomic_path(place) as temporary, temporary.open("wb") as into:
            source_hash = hashing.submit(file_hash, file.path)
            tail = self._pack_events(file, plan, into.fileno())
            into.seek(0, os.SEEK_END)
            tail_hash = write_tail(into, tail)
        with read_errors(file.path):
            open_unchanged(file.path, file.layout)
        manifest = Manifest(
            VERSION,
            str(file.path.resolve()),
            file.layout.size,
            file.layout.mtime_ns,
            source_hash.result(),
            plan.tree_name,
            plan.npho_branch,
            plan.time_branch,
            self._settings.normalization.fingerprint(),
            file.num_entries,
            plan.truth_branches,
            tail_hash,
        )
        with atomic_path(manifest_of(place)) as temporary:
            temporary.write_text(manifest.to_json(), encoding="utf-8")
        return file

    def _pack_events(self, file: FileSchema, plan: BranchPlan, descriptor: int) -> PackedEvents:
        """Write the levels of all events, and return all the rest."""
        reader = EventReader([file], plan)
        tail = empty_tail(file.num_entries, plan.truth_branches)
        ranges = cut_file(file, MIN_BLOCK, _LARGEST_RANGE)
        jobs = [self._threads.submit(self._pack_range, reader, *one, tail, descriptor) for one in ranges]
        try:
            for job in jobs:
                job.result()
        finally:
            # After an error, nothing may write to the file when it is closed.
            for job in jobs:
                job.cancel()
            wait(jobs)
            reader.close()
        return tail

    def _pack_range(self, reader: EventReader, start: int, stop: int, tail: PackedEvents, descriptor: int) -> None:
        rows = self._memory.lend()
        for piece in reader.sensor_pieces(0, start, stop):
            edges = [*range(piece.start, piece.stop, _SLICE_EVENTS), piece.stop]
            for first, last in pairwise(edges):
                self._pack_slice(piece, slice(first, last), rows, tail, descriptor)
        truth, run, event = reader.read_numbers(0, start, stop)
        tail.run[start:stop], tail.event[start:stop] = run, event
        for name, values in truth.items():
            tail.truth[name][start:stop] = values

    def _pack_slice(
        self, piece: SensorPiece, events: slice, rows: EventRows, tail: PackedEvents, descriptor: int
    ) -> None:
        targets = np.arange(events.stop - events.start)
        self._normalize.fill(piece.npho, piece.time, targets + events.start - piece.start, targets, rows)
        packed = self._kernel.pack(rows, len(targets))
        tail.rows.scales[events], tail.rows.sums[events] = packed.scales, packed.sums
        _write_at(descriptor, packed.values.data.cast("B"), events.start * ROW_BYTES)


def _stored_branches(file: FileSchema, plan: BranchPlan) -> BranchPlan:
    branches = file.layout.branches
    truth = tuple(name for name, width in TRUTH_WIDTHS.items() if name in branches and branches[name].width == width)
    return BranchPlan(plan.tree_name, plan.npho_branch, plan.time_branch, truth)


def _write_at(descriptor: int, content: memoryview, place: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, place)
        content, place = content[written:], place + written
