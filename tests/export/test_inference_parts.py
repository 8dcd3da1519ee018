"""What is kept of an inference must be whole, of the same run, and nobody else's."""

from pathlib import Path

import numpy as np
import pytest

from lib.errors import DataError
from lib.export.inference_parts import PartFolder

COLUMNS = {"run": np.arange(3), "output/energy": np.ones((3, 1), np.float32)}


def test_what_was_kept_is_there_for_the_same_run_alone(tmp_path: Path) -> None:
    first = PartFolder(tmp_path / "p.root", {"model": "a"})
    first.save(2, COLUMNS)
    first.release()
    second = PartFolder(tmp_path / "p.root", {"model": "a"})
    assert [second.is_done(number) for number in range(4)] == [False, False, True, False]
    np.testing.assert_array_equal(second.load(2)["output/energy"], COLUMNS["output/energy"])
    second.release()
    third = PartFolder(tmp_path / "p.root", {"model": "b"})
    assert not third.is_done(2)
    third.release()


def test_a_part_that_the_disk_damaged_is_not_done(tmp_path: Path) -> None:
    parts = PartFolder(tmp_path / "p.root", {})
    parts.save(0, COLUMNS)
    (path,) = parts.folder.glob("*.npz")
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    assert not parts.is_done(0)
    parts.release()


def test_two_processes_do_not_write_one_output(tmp_path: Path) -> None:
    parts = PartFolder(tmp_path / "p.root", {})
    with pytest.raises(DataError, match=r"p\.root: another process is writing it"):
        PartFolder(tmp_path / "p.root", {})
    parts.remove()
    assert list(tmp_path.iterdir()) == []
