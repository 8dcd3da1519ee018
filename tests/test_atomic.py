"""Files appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from lib.atomic import atomic_path, make_folder, remove_partial


def flushed_paths(patch: pytest.MonkeyPatch, refused: Path | None = None) -> list[Path]:
    """Return a list that grows by each file and folder that is flushed from now on; one may be refused."""
    flush, flushed = os.fsync, list[Path]()

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path == refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(descriptor)
        flushed.append(path)

    patch.setattr(os, "fsync", note)
    return flushed


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new_folder" / "result.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_leaves_the_older_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "result.csv"
    target.write_text("old")
    with pytest.raises(OSError, match="disk full"), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "result.csv"):
        pass


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left, others = [".x[1].77.partial.root"], [".x1.77.partial.root", ".x[1].77.partial.onnx", "x[1].root"]
    for name in (*left, *others):
        (tmp_path / name).touch()
    remove_partial(tmp_path / "x[1].root")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_content_reaches_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = flushed_paths(monkeypatch)
    with atomic_path(tmp_path / "result.csv") as temporary:
        temporary.touch()
    assert flushed == [temporary, tmp_path]


def test_each_folder_that_is_new_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = flushed_paths(monkeypatch)
    for _ in range(2):
        make_folder(tmp_path / "runs" / "first")
        assert flushed == [tmp_path / "runs", tmp_path]
    make_folder(tmp_path / "runs" / "second")
    assert flushed[2:] == [tmp_path / "runs"]
