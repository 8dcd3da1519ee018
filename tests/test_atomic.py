"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from lib.atomic import atomic_path, remove_partial


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
