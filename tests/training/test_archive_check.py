"""Archives that torch did not write are refused before torch opens them."""

import hashlib
import io
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from lib.errors import CheckpointError
from lib.training.archive_check import check_archive
from lib.training.sealed_file import read_sealed

Entries = list[tuple[str, bytes, int]]


def honest() -> Entries:
    memory = io.BytesIO()
    torch.save({"weights": torch.arange(50.0)}, memory)
    with zipfile.ZipFile(memory) as archive:
        return [(entry.filename, archive.read(entry), zipfile.ZIP_STORED) for entry in archive.infolist()]


def seal(path: Path, archive: bytes) -> Path:
    """Write an archive with a right seal, as somebody could who knows the format."""
    content = archive[:-2]
    digest = hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(content + struct.pack("<H", 71) + b"sha256:" + digest)
    return path


def archive_of(entries: Entries) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicated names
        for name, content, method in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return memory.getvalue()


def added(name: str, content: bytes = b"x", method: int = zipfile.ZIP_STORED) -> Callable[[], bytes]:
    return lambda: archive_of([*honest(), (name, content, method)])


def declaring(size: int) -> bytes:
    """An archive whose directory promises more bytes of one entry than the file has."""
    archive = bytearray(archive_of(honest()))
    entry = archive.index(b"PK\x01\x02")
    archive[entry + 20 : entry + 28] = struct.pack("<II", size, size)
    return bytes(archive)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "deflated bomb": (added("archive/data/7", bytes(1 << 24), zipfile.ZIP_DEFLATED), "'archive/data/7' is compressed"),
    "duplicated entry": (added("archive/data.pkl"), "'archive/data.pkl' stands twice"),
    "path upwards": (added("archive/../../etc/passwd"), "'archive/../../etc/passwd' is an odd name"),
    "absolute path": (added("/etc/passwd"), "'/etc/passwd' is an odd name"),
    "line break in a name": (added("archive/a\nb"), "'archive/a\\nb' is an odd name"),
    "too much declared": (lambda: declaring(1 << 31), "2147"),
    "sizes that differ": (
        lambda: archive_of(honest()).replace(struct.pack("<II", 200, 200), struct.pack("<II", 200, 1 << 30)),
        "declares 1073741824 bytes but stores 200",
    ),
}


def test_a_file_that_torch_wrote_is_let_through(tmp_path: Path) -> None:
    path = seal(tmp_path / "a.pth", archive_of(honest()))
    check_archive(path)
    assert torch.equal(read_sealed(path)["weights"], torch.arange(50.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_archive_is_refused_by_its_directory(tmp_path: Path, attack: str) -> None:
    make, told = HOSTILE[attack]
    path = seal(tmp_path / "a.pth", make())
    before = psutil.Process().memory_info().rss
    with pytest.raises(CheckpointError, match=rf"refused, its archive was not written by torch: .*{re.escape(told)}"):
        read_sealed(path)
    assert psutil.Process().memory_info().rss - before < 50e6


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    archive = bytearray(archive_of(honest()))
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(CheckpointError, match="is encrypted"):
        read_sealed(seal(tmp_path / "a.pth", bytes(archive)))


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.training.archive_check._MAX_ENTRIES", 3)
    with pytest.raises(CheckpointError, match=r"not written by torch: \d+ entries"):
        read_sealed(seal(tmp_path / "a.pth", archive_of(honest())))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"text" * 100)
    with pytest.raises(CheckpointError, match="it is no archive"):
        check_archive(tmp_path / "a.pth")


def with_pickle(content: bytes) -> bytes:
    return archive_of([(n, content if n.endswith("data.pkl") else c, m) for n, c, m in honest()])


def test_a_tensor_larger_than_its_storage_is_refused_without_taking_memory(tmp_path: Path) -> None:
    (original,) = [content for name, content, _ in honest() if name.endswith("data.pkl")]
    # The shape (50,) and the stride follow the offset 0; the shape becomes 2^40.
    huge = original.replace(b"K\x00K2\x85", b"K\x00\x8a\x06" + (1 << 40).to_bytes(6, "little") + b"\x85")
    assert huge != original
    before = psutil.Process().memory_info().rss
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        read_sealed(seal(tmp_path / "a.pth", with_pickle(huge)))
    assert psutil.Process().memory_info().rss - before < 200e6


@pytest.mark.parametrize(
    "function", ["os\nsystem", "subprocess\nPopen", "builtins\neval", "importlib\nimport_module", "marshal\nloads"]
)
def test_a_pickle_that_calls_anything_is_refused_and_never_run(tmp_path: Path, function: str) -> None:
    canary = tmp_path / "canary"
    payload = b"c" + function.encode() + b"\n(" + pickle.dumps(f"touch {canary}", 0)[:-1] + b"tR."
    with pytest.raises(CheckpointError, match="holds objects other than tensors"):
        read_sealed(seal(tmp_path / "a.pth", with_pickle(payload)))
    assert not canary.exists()
