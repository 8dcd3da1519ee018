"""Archives that torch did not write are refused before torch opens them."""

import re
from pathlib import Path

import psutil
import pytest
import torch

from lib.errors import CheckpointError
from lib.training.saving.archive_check import check_archive
from lib.training.saving.sealed_file import read_sealed
from tests.training.hostile_files import HOSTILE, archive_of, honest, hostile_checkpoints, seal


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
    monkeypatch.setattr("lib.training.saving.archive_check._MAX_ENTRIES", 3)
    with pytest.raises(CheckpointError, match=r"not written by torch: \d+ entries"):
        read_sealed(seal(tmp_path / "a.pth", archive_of(honest())))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"text" * 100)
    with pytest.raises(CheckpointError, match="it is no archive"):
        check_archive(tmp_path / "a.pth")


@pytest.mark.parametrize("attack", hostile_checkpoints(Path("canary")))
def test_no_hostile_checkpoint_is_read_or_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = seal(tmp_path / "a.pth", hostile_checkpoints(tmp_path / "canary")[attack])
    before = psutil.Process().memory_info().rss
    with pytest.raises(CheckpointError, match=r"cannot be read as a checkpoint|refused|expected a checkpoint's dict"):
        read_sealed(path)
    assert psutil.Process().memory_info().rss - before < 200e6
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pth"]


def test_there_are_sixty_of_them(tmp_path: Path) -> None:
    assert len(hostile_checkpoints(tmp_path)) >= 60


def test_a_link_to_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pth").symlink_to("/etc/passwd")
    with pytest.raises(CheckpointError, match="ends without a SHA-256 seal"):
        read_sealed(tmp_path / "a.pth")
