"""A look at the directory of a checkpoint's zip archive before torch opens it.

Reading must not cost more than the file's own size: a deflated entry can grow a thousandfold in memory, and duplicated
or odd names mean that two readers may see two contents. torch stores its entries uncompressed, so anything else is
not a file of this suite.
"""

import re
import zipfile
from pathlib import Path

from lib.errors import CheckpointError

# torch.save writes a folder with data.pkl, data/0, data/1, ... and a few short files that describe them.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}/(data/[0-9]{1,9}|\.?[A-Za-z0-9_]{1,64}(/[A-Za-z0-9_]{1,64})?(\.pkl)?)")
_MAX_ENTRIES = 200_000


def check_archive(path: Path) -> None:
    """Refuse an archive that torch did not write.

    Raises:
        CheckpointError: Naming the first odd entry.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as a checkpoint, it is no archive ({error}).") from error
    fault = _first_fault(entries, path.stat().st_size)
    if fault:
        raise CheckpointError(f"{path}: refused, its archive was not written by torch: {fault}.")


def _first_fault(entries: list[zipfile.ZipInfo], file_size: int) -> str | None:
    if len(entries) > _MAX_ENTRIES:
        return f"{len(entries)} entries"
    seen: set[str] = set()
    for entry in entries:
        fault = "stands twice" if entry.filename in seen else _fault_of(entry)
        if fault:
            return f"{entry.filename[:80]!r} {fault}"
        seen.add(entry.filename)
    declared = sum(entry.file_size for entry in entries)
    return f"{declared} bytes declared in a file of {file_size}" if declared > file_size else None


def _fault_of(entry: zipfile.ZipInfo) -> str | None:
    if ".." in entry.filename or not _NAME.fullmatch(entry.filename):
        return "is an odd name"
    if entry.compress_type != zipfile.ZIP_STORED:
        return "is compressed"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.file_size != entry.compress_size:
        return f"declares {entry.file_size} bytes but stores {entry.compress_size}"
    return None
