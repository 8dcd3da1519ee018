import logging

import numpy as np
import pytest

from lib.data.trees import layout_index
from lib.data.trees.layout_index import find_layouts
from lib.errors import DataError
from tests.data.root_files import make_events, write_root


@pytest.fixture
def files(tmp_path):
    return [write_root(tmp_path / "data" / f"{i}.root", make_events(10 + i), basket=4) for i in range(3)]


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that the ROOT library was asked about."""
    names = []
    original = layout_index.read_layout

    def read_layout(path, tree_name):
        names.append(path.name)
        return original(path, tree_name)

    monkeypatch.setattr(layout_index, "read_layout", read_layout)
    return names


def assert_same(first, second):
    assert (first.size, first.mtime_ns, first.num_entries) == (second.size, second.mtime_ns, second.num_entries)
    assert first.branches.keys() == second.branches.keys()
    for a, b in zip(first.branches.values(), second.branches.values(), strict=True):
        assert (a.type_name, a.dtype, a.shape) == (b.type_name, b.dtype, b.shape)
        assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("edges", "seeks", "num_bytes"))


def test_what_is_kept_equals_what_the_root_library_said(files, opened):
    fresh = find_layouts(files, "tree")
    again = find_layouts(files, "tree")
    assert opened == ["0.root", "1.root", "2.root"]
    for first, second in zip(fresh, again, strict=True):
        assert_same(first, second)
    assert [layout.num_entries for layout in again] == [10, 11, 12]
    assert again[0].branches["npho"].edges.tolist() == [0, 4, 8, 10]


def test_a_file_that_changed_is_opened_again_alone(files, opened):
    find_layouts(files, "tree")
    write_root(files[1], make_events(7))
    assert [layout.num_entries for layout in find_layouts(files, "tree")] == [10, 7, 12]
    assert opened[3:] == ["1.root"]


def test_results_come_in_the_order_that_was_asked_for(files):
    assert [layout.num_entries for layout in find_layouts([files[2], files[0], files[2]], "tree")] == [12, 10, 12]


def test_faulty_files_are_never_kept(files, opened):
    files[0].write_bytes(b"")
    for _ in range(2):
        fault = find_layouts(files, "tree")[0]
        assert isinstance(fault, DataError)
        assert "the file is empty" in str(fault)
    assert opened.count("0.root") == 2


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_or_older_index_is_made_anew(files, opened, user_cache, monkeypatch, content):
    before = set(user_cache.rglob("*.npz"))
    if content is None:
        monkeypatch.setattr(layout_index, "_VERSION", 0)
    find_layouts(files, "tree")
    monkeypatch.undo() if content is None else None
    (place,) = set(user_cache.rglob("*.npz")) - before
    if content is not None:
        place.write_bytes(content)
    assert [layout.num_entries for layout in find_layouts(files, "tree")] == [10, 11, 12]


def test_a_cache_that_cannot_be_written_costs_time_only(files, monkeypatch, tmp_path, caplog):
    (tmp_path / "layouts").write_text("a file where the folder should be")
    monkeypatch.setattr(layout_index, "user_cache_folder", lambda: tmp_path)
    with caplog.at_level(logging.INFO):
        assert find_layouts(files, "tree")[2].num_entries == 12
    assert "cannot be written" in caplog.text
