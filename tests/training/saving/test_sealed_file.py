"""Checkpoint files notice damage."""

import hashlib
import struct
from pathlib import Path

import pytest
import torch

from lib.errors import CheckpointError
from lib.training.saving.sealed_file import read_sealed, verify_seal, write_sealed
from tests.training.hostile_files import flipped


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "state.pth"
    write_sealed(path, {"weights": torch.arange(50.0), "config": {"lr": 1e-3, "names": ["a", "b"]}})
    return path


def test_content_returns_as_it_was(sealed: Path) -> None:
    content = read_sealed(sealed)
    assert torch.equal(content["weights"], torch.arange(50.0))  # type: ignore[arg-type]
    assert content["config"] == {"lr": 1e-3, "names": ["a", "b"]}


def test_plain_torch_reads_the_file_without_unpickling_objects(sealed: Path) -> None:
    assert torch.load(sealed, weights_only=True)["config"]["lr"] == 1e-3


def test_a_thousand_flipped_bits_are_refused(sealed: Path) -> None:
    for data in flipped(sealed.read_bytes(), 1000):
        sealed.write_bytes(data)
        with pytest.raises(CheckpointError, match=r"damaged|not a checkpoint"):
            verify_seal(sealed)


def test_a_file_cut_at_any_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.pth"
    write_sealed(path, {"weights": torch.arange(100_000.0)})
    original = path.read_bytes()
    for length in range(0, len(original), 4096):
        path.write_bytes(original[:length])
        with pytest.raises(CheckpointError, match=r"ends without a SHA-256 seal|damaged"):
            read_sealed(path)


def test_every_truncation_is_refused(sealed: Path) -> None:
    original = sealed.read_bytes()
    for length in range(0, len(original), 61):
        sealed.write_bytes(original[:length])
        with pytest.raises(CheckpointError, match=r"ends without a SHA-256 seal|damaged"):
            read_sealed(sealed)


def test_a_missing_file_names_its_neighbours(sealed: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such checkpoint\. In its folder: .*state\.pth"):
        read_sealed(sealed.with_name("stat.pth"))


def test_a_pickled_object_is_never_executed(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (tmp_path / "canary",))

    path = tmp_path / "hostile.pth"
    write_sealed(path, {"model": Payload()})
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        read_sealed(path)
    assert not (tmp_path / "canary").exists()


def test_something_else_than_a_dict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.pth"
    write_sealed(path, [1, 2])  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="expected a checkpoint's dict, got list"):
        read_sealed(path)


def test_a_sealed_archive_that_is_none_is_refused(sealed: Path) -> None:
    """Somebody else's tool sealed half an archive: the digest is right, the content is not."""
    half = sealed.read_bytes()[: sealed.stat().st_size // 2]
    digest = hashlib.sha256(half).hexdigest().encode()
    sealed.write_bytes(half + struct.pack("<H", 71) + b"sha256:" + digest)
    with pytest.raises(CheckpointError, match=r"cannot be read as a checkpoint, it is no archive"):
        read_sealed(sealed)
