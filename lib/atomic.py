"""Files that appear under their final name only when they are whole."""

import glob
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield a temporary path beside the wanted one and move it into place when the block ends well.

    The data reach the disk before the name does, so that a crash leaves either the old file or the new one. When the
    block raises, the temporary file is removed and an older file of that name stays as it was.

    Args:
        path: Final place; its folder is created.
        check: Looks at the finished file on the disk; when it raises, the older file stays too.

    Yields:
        Where to write; same folder and same suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        _flush(temporary, os.O_RDWR)
        if check is not None:
            _forget_cached(temporary)
            check(temporary)
        temporary.replace(path)
        flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_partial(path: Path) -> None:
    """Remove what killed processes left of a file; for its only writer, since others' work would go too."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}.*.partial{glob.escape(path.suffix)}"):
        left.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, and see each new name onto the disk."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        flush_folder(one.parent)


def flush_folder(folder: Path) -> None:
    """See the names in a folder onto the disk; the content of a new file alone would be lost without its name."""
    _flush(folder, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget_cached(path: Path) -> None:
    """Let the next reader of a flushed file see the disk and not the memory that it was written from."""
    if hasattr(os, "posix_fadvise"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
