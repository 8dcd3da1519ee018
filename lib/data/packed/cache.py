"""The packed cache: input files as network inputs in 16 bits, built once and read in any order."""

import fcntl
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib.data.files.location import InputPath
from lib.data.packed.cache_settings import CacheSettings
from lib.data.packed.packed_file import Manifest, PackedEvents, manifest_of, open_packed
from lib.data.packed.packing import pack_files
from lib.data.trees.schema import FileSchema
from lib.errors import DataError

logger = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class Part:
    """Every so-many-th file, so that as many processes can pack side by side.

    Attributes:
        number: Which part, from 0.
        count: How many parts there are.
    """

    number: int
    count: int

    def of(self, files: Sequence[FileSchema]) -> list[FileSchema]:
        """Return the files of this part."""
        return list(files[self.number :: self.count])


WHOLE = Part(0, 1)


def build_cache(files: Sequence[FileSchema], settings: CacheSettings, part: Part = WHOLE) -> int:
    """Pack what is missing or stale, one process at a time for each part, and return how many files that were.

    What another process, or an earlier attempt, has finished is kept.

    Args:
        files: Checked files, of all parts.
        settings: Of the cache.
        part: Which of them are packed.

    Raises:
        DataError: If a file cannot be read.
    """
    own = part.of(files)
    with _locked(settings.folder, part):
        faults = find_faults(own, settings)
        missing = [file for file in own if file.path in faults]
        for number, path in enumerate(pack_files(missing, settings), 1):
            logger.info("packed %s (%d of %d)", path, number, len(missing))
        return len(missing)


@contextmanager
def _locked(folder: Path, part: Part) -> Iterator[None]:
    """Hold the cache's lock; parts share it and have one each of their own."""
    if part == WHOLE:
        with _held(folder, ".lock", fcntl.LOCK_EX):
            yield
        return
    own = f".lock_{part.number}_of_{part.count}"
    with _held(folder, ".lock", fcntl.LOCK_SH), _held(folder, own, fcntl.LOCK_EX):
        yield


@contextmanager
def _held(folder: Path, name: str, kind: int) -> Iterator[None]:
    """Hold a lock; the kernel lets go of it however the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another process that builds the cache %s", folder)
            fcntl.flock(file, kind)
        except OSError as error:
            logger.warning("%s: this file system has no locks (%s); build the cache by one process", folder, error)
        yield
