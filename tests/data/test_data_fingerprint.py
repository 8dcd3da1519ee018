"""The fingerprint must follow the files, and not the folder they are in."""

import shutil
from pathlib import Path

import numpy as np
import uproot

from lib.data.config import DataConfig
from lib.data.data_fingerprint import data_fingerprint


def write_events(path: Path, count: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with uproot.recreate(path) as file:
        file.mktree("tree", {"npho": np.dtype((np.float32, (4760,)))})
        file["tree"].extend({"npho": np.ones((count, 4760), np.float32)})


def fingerprint(folder: Path) -> str:
    return data_fingerprint(DataConfig(train_path=str(folder), val_path="unused"))


def test_the_same_files_in_another_folder_are_the_same_data(tmp_path: Path) -> None:
    for name in ("a.root", "b.root"):
        write_events(tmp_path / "here" / name, 3)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert fingerprint(tmp_path / "here") == fingerprint(tmp_path / "there")


def test_another_file_or_other_events_are_other_data(tmp_path: Path) -> None:
    write_events(tmp_path / "x" / "a.root", 3)
    write_events(tmp_path / "y" / "a.root", 4)
    write_events(tmp_path / "z" / "b.root", 3)
    assert len({fingerprint(tmp_path / name) for name in "xyz"}) == 3


def test_a_file_that_cannot_be_read_does_not_count(tmp_path: Path) -> None:
    write_events(tmp_path / "x" / "a.root", 3)
    before = fingerprint(tmp_path / "x")
    (tmp_path / "x" / "bad.root").write_bytes(b"no ROOT file")
    assert fingerprint(tmp_path / "x") == before
