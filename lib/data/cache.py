"""The packed cache: input files as network inputs in 16 bits, built once and read in any order."""

import fcntl
import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.atomic import atomic_path
from lib.data.branches import TRUTH_WIDTHS
from lib.data.event_rows import RowMemory
from lib.data.file_bytes import open_bytes, open_unchanged
from lib.data.location import InputPath
from lib.data.normalization import Normalization
from lib.data.packed_file import VERSION, Manifest, PackedEvents, manifest_of, open_packed, write_tail
from lib.data.packed_kernel import PackedKernel, PackedRows, packed_kernel
from lib.data.read_ahead import map_ahead
from lib.data.schema import BranchPlan, FileSchema
from lib.data.sensor_kernel import SensorKernel, sensor_kernel
from lib.data.source import EventReader
from lib.data.tree_reading import read_errors
from lib.errors import DataError

logger = logging.getLogger(__name__)

_CHUNK_EVENTS = 256

# Enough for a disk, or a server, to be busy.
_HASH_BYTES = 1 << 24


@dataclass(frozen=True)
class CacheSettings:
    """Where packed files lie, and what they hold.

    Attributes:
        folder: Folder of the cache; several data sets and normalizations may share it.
        plan: Branches that are packed; truth that the files have is always kept.
        normalization: Applied before packing.
        num_threads: Threads that build.
        compiled: Whether compiled code may be used.
    """

    folder: Path
    plan: BranchPlan
    normalization: Normalization
    num_threads: int = 2
    compiled: bool = True

    def place(self, file: FileSchema) -> Path:
        """Return where the packed form of a file lies."""
        plan = self.plan
        parts = (str(file.path.resolve()), plan.tree_name, plan.npho_branch, plan.time_branch)
        key = hashlib.sha256("\n".join([*parts, self.normalization.fingerprint()]).encode()).hexdigest()[:16]
        return self.folder / f"{file.path.stem}-{key}.packed"


def open_cached(file: FileSchema, settings: CacheSettings) -> PackedEvents:
    """Return the packed events of an input file.

    Raises:
        DataError: If they are missing, made from another state of the file, or damaged.
    """
    place = settings.place(file)
    if not manifest_of(place).exists():
        raise DataError(f"{file.path}: not in the cache {settings.folder}.")
    manifest = Manifest.read(manifest_of(place))
    if (manifest.source_size, manifest.source_mtime_ns) != (file.layout.size, file.layout.mtime_ns):
        raise DataError(f"{file.path}: changed since it was packed into {place}.")
    return open_packed(place, manifest)


def cached_files(files: Sequence[FileSchema], settings: CacheSettings, *, build: bool) -> list[PackedEvents]:
    """Return the packed events of all files.

    Args:
        files: Checked files.
        settings: Of the cache.
        build: Whether to build what is missing or stale; otherwise that is refused.

    Raises:
        DataError: If files are missing and may not be built, with the reasons, or if they cannot be read.
    """
    faults = find_faults(files, settings)
    if faults and not build:
        shown = "\n  ".join(list(faults.values())[:5])
        raise DataError(
            f"{len(faults)} of {len(files)} files cannot be taken from the cache:\n  {shown}\nRun python "
            "macro/build_cache.py, or set data.cache: auto."
        )
    if faults:
        build_cache(files, settings)
    return [open_cached(file, settings) for file in files]


def find_faults(files: Sequence[FileSchema], settings: CacheSettings) -> dict[InputPath, str]:
    """Return why files cannot be taken from the cache, by path; empty when all can."""
    faults = {}
    for file in files:
        try:
            open_cached(file, settings)
        except DataError as error:
            faults[file.path] = str(error)
    return faults


def build_cache(files: Sequence[FileSchema], settings: CacheSettings) -> int:
    """Pack what is missing or stale, one process at a time, and return how many files that were.

    What another process, or an earlier attempt, has finished is kept.

    Raises:
        DataError: If a file cannot be read.
    """
    built = 0
    with _locked(settings.folder):
        faults = find_faults(files, settings)
        for number, file in enumerate(files, 1):
            if file.path in faults:
                logger.info("packing %s (%d of %d)", file.path, number, len(files))
                pack_file(file, settings)
                built += 1
    return built


def pack_file(file: FileSchema, settings: CacheSettings) -> None:
    """Pack one file; raises ``DataError`` if it cannot be read."""
    branches = file.layout.branches
    truth = tuple(name for name, width in TRUTH_WIDTHS.items() if name in branches and branches[name].width == width)
    plan = BranchPlan(settings.plan.tree_name, settings.plan.npho_branch, settings.plan.time_branch, truth)
    place = settings.place(file)
    with ThreadPoolExecutor(1) as hashing, atomic_path(place) as temporary, temporary.open("wb") as into:
        digest = hashing.submit(file_hash, file.path)
        # The manifest of an older state may not describe the new content for a moment.
        manifest_of(place).unlink(missing_ok=True)
        chunks = []
        for chunk in _packed_chunks(file, plan, settings):
            into.write(chunk.rows.values.data)
            chunks.append(_without_values(chunk))
        tail_hash = write_tail(into, _joined(chunks))
        source_hash = digest.result()
    with read_errors(file.path):
        open_unchanged(file.path, file.layout)
    manifest = Manifest(
        VERSION,
        str(file.path.resolve()),
        file.layout.size,
        file.layout.mtime_ns,
        source_hash,
        plan.tree_name,
        plan.npho_branch,
        plan.time_branch,
        settings.normalization.fingerprint(),
        file.num_entries,
        truth,
        tail_hash,
    )
    with atomic_path(manifest_of(place)) as temporary:
        temporary.write_text(manifest.to_json(), encoding="utf-8")


def file_hash(path: InputPath) -> str:
    """Return the SHA-256 of a file's content as hex digits."""
    digest = hashlib.sha256()
    with read_errors(path):
        source = open_bytes(path)
        memory = np.empty(min(_HASH_BYTES, source.state.size), np.uint8)
        for place in range(0, source.state.size, _HASH_BYTES):
            part = memory[: source.state.size - place]
            source.read(place, part)
            digest.update(part.data)
    return digest.hexdigest()


class _Packer:
    """Reads, normalizes and packs ranges of one file; may be used by several threads."""

    def __init__(self, file: FileSchema, plan: BranchPlan, settings: CacheSettings) -> None:
        normalization = settings.normalization
        self.reader = EventReader([file], plan)
        self._memory = RowMemory(_CHUNK_EVENTS, ())
        self._normalize: SensorKernel = sensor_kernel(normalization, compiled=settings.compiled)
        sentinels = (normalization.sentinel_npho, normalization.sentinel_time)
        self._pack: PackedKernel = packed_kernel(sentinels, compiled=settings.compiled)

    def pack(self, start: int, stop: int) -> PackedEvents:
        """Return the events [start, stop)."""
        rows = self._memory.lend()
        for piece in self.reader.sensor_pieces(0, start, stop):
            count = np.arange(len(piece.npho))
            self._normalize.fill(piece.npho, piece.time, count, count + piece.start - start, rows)
        truth, run, event = self.reader.read_numbers(0, start, stop)
        return PackedEvents(self._pack.pack(rows, stop - start), truth, run, event)


def _packed_chunks(file: FileSchema, plan: BranchPlan, settings: CacheSettings) -> Iterator[PackedEvents]:
    packer = _Packer(file, plan, settings)
    edges = range(0, file.num_entries, _CHUNK_EVENTS)
    ranges = [(start, min(start + _CHUNK_EVENTS, file.num_entries)) for start in edges]
    try:
        yield from map_ahead(lambda entries: packer.pack(*entries), ranges, ahead=settings.num_threads)
    finally:
        packer.reader.close()


def _without_values(chunk: PackedEvents) -> PackedEvents:
    rows = PackedRows(chunk.rows.values[:0], chunk.rows.scales, chunk.rows.sums)
    return PackedEvents(rows, chunk.truth, chunk.run, chunk.event)


def _joined(chunks: list[PackedEvents]) -> PackedEvents:
    scales, sums = (np.concatenate([getattr(chunk.rows, name) for chunk in chunks]) for name in ("scales", "sums"))
    run, event = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in ("run", "event"))
    truth = {name: np.concatenate([chunk.truth[name] for chunk in chunks]) for name in chunks[0].truth}
    return PackedEvents(PackedRows(chunks[0].rows.values, scales, sums), truth, run, event)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the cache's lock; the kernel lets go of it however the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another process that builds the cache %s", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            logger.warning("%s: this file system has no locks (%s); build the cache by one process", folder, error)
        yield
