"""A torch archive that carries its own SHA-256.

Neither torch's zip archives nor safetensors notice a flipped bit in their content. The digest is kept as the comment
of the zip archive, so one file holds both, ``torch.load`` still reads it, and a rename moves both at once.
"""

import errno
import hashlib
import pickle
import struct
from pathlib import Path
from typing import IO, BinaryIO, cast

import torch

from lib.atomic import atomic_path
from lib.errors import CheckpointError
from lib.training.saving.archive_check import check_archive

_PREFIX = b"sha256:"
_COMMENT_LENGTH = len(_PREFIX) + 64
_SEAL_LENGTH = 2 + _COMMENT_LENGTH
_BLOCK = 1 << 22

# What torch.load(weights_only=True) returns: containers, numbers, text and tensors, never other objects.
Content = dict[str, object]


class _SealingFile:
    """A file that hashes what is written to it and keeps the end of an archive, where the seal goes.

    Torch ends the process if its archive cannot be written, so a disk that refuses is remembered and told afterwards.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._end = b""
        self._error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Take in a piece of the archive."""
        whole = memoryview(data).cast("B")
        # An archive without a comment ends with the comment's length, two zero bytes.
        cut = max(len(whole) - 2, 0)
        end = self._end + bytes(whole[cut:])
        certain = max(len(end) - 2, 0)
        self._pass_on(end[:certain])
        self._pass_on(whole[:cut])
        self._end = end[certain:]
        return len(whole)

    def flush(self) -> None:
        """Torch asks for it; the seal is not written yet."""

    def seal(self) -> None:
        """Write the digest of everything as the comment of the archive.

        Raises:
            OSError: If the disk refused any of it.
        """
        if self._error is not None:
            raise self._error
        comment = _PREFIX + self._digest.hexdigest().encode()
        self._file.write(struct.pack("<H", _COMMENT_LENGTH) + comment)

    def _pass_on(self, data: bytes | memoryview) -> None:
        if self._error is not None:
            return
        try:
            self._file.write(data)
        except OSError as error:
            self._error = error
            return
        self._digest.update(data)


def write_sealed(path: Path, content: Content) -> None:
    """Write tensors and plain values as one sealed file that appears whole and verified or not at all.

    It is read back from the disk before it takes the place of an older one.

    Args:
        path: Final place.
        content: Nested dicts and lists of tensors and plain values.

    Raises:
        OSError: If the disk refuses, or returns something else; an older file of that name stays as it was.
    """
    with atomic_path(path, check=_read_back) as temporary, temporary.open("wb") as file:
        sealing = _SealingFile(file)
        torch.save(content, cast(IO[bytes], sealing))
        sealing.seal()


def _read_back(path: Path) -> None:
    try:
        verify_seal(path)
    except CheckpointError as error:
        raise OSError(errno.EIO, "the disk does not return what was written", str(path)) from error


def read_sealed(path: Path, device: torch.device | str = "cpu") -> Content:
    """Read a sealed file after verifying it; nothing in it is ever executed.

    Args:
        path: File that ``write_sealed`` wrote.
        device: Where tensors go.

    Raises:
        CheckpointError: If the file is missing, is no sealed file, or does not hold what was written.
    """
    verify_seal(path)
    check_archive(path)
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        # Torch's own text recommends to load the file unsafely.
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint, it holds objects other than tensors."
        ) from error
    except Exception as error:
        # Of what somebody made up, torch's reader fails in any way: KeyError, IndexError, RecursionError.
        cause = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({cause[:300]}).") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a checkpoint's dict, got {type(content).__name__}.")
    return content


def verify_seal(path: Path) -> None:
    """Compare the content of a sealed file with the SHA-256 that it carries.

    Raises:
        CheckpointError: If the file is missing, is no sealed file, or does not hold what was written.
    """
    if not path.is_file():
        near = sorted(str(found) for found in path.parent.glob("*.pth")) if path.parent.is_dir() else []
        raise CheckpointError(f"{path}: no such checkpoint. In its folder: {', '.join(near[:8]) or 'none'}.")
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _SEAL_LENGTH))
        seal = file.read()
    expected = struct.pack("<H", _COMMENT_LENGTH) + _PREFIX
    if not seal.startswith(expected):
        raise CheckpointError(
            f"{path}: not a checkpoint of this suite, or cut short: it ends without a SHA-256 seal. "
            "Use an older checkpoint of the run, or copy the file again."
        )
    if _digest(path, size - _SEAL_LENGTH) != seal[len(expected) :]:
        raise CheckpointError(
            f"{path}: damaged, its content does not match its SHA-256. Use an older checkpoint, or copy it again."
        )


def _digest(path: Path, length: int) -> bytes:
    """Return the SHA-256 of the first bytes of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while length > 0 and (block := file.read(min(_BLOCK, length))):
            digest.update(block)
            length -= len(block)
    return digest.hexdigest().encode()
