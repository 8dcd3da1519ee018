import numpy as np
import pytest
import uproot

from lib.data.trees.basket_reader import BasketReader
from lib.data.trees.layout_index import record_hashes
from lib.data.trees.schema import BranchPlan, check_files
from lib.errors import DataError
from tests.data.root_files import change_bytes, make_events, write_root

PLAN = BranchPlan("tree", "npho", "time")
CODECS = [None, uproot.LZ4(1), uproot.ZSTD(1), uproot.ZLIB(1), uproot.LZMA(1)]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: type(codec).__name__)
def test_rows_are_those_that_were_written(tmp_path, codec):
    events = make_events(25)
    path = write_root(tmp_path / "a.root", events, basket=10, compression=codec)
    reader = BasketReader(check_files([path], PLAN))
    for start, stop in ((0, 10), (3, 7), (20, 25), (10, 20)):
        for name in ("npho", "time", "uvwTruth"):
            assert np.array_equal(reader.rows(0, name, start, stop), events[name][start:stop]), name
    assert reader.rows(0, "event", 20, 22).tolist() == [[20], [21]]


def test_a_basket_is_decoded_once_for_neighbouring_rows(tmp_path):
    # Noise that does not shrink is stored as it is.
    events = {**make_events(10), "npho": make_events(10)["npho"].round()}
    path = write_root(tmp_path / "a.root", events, compression=uproot.LZ4(1))
    reader = BasketReader(check_files([path], PLAN))
    first, second = reader.rows(0, "npho", 0, 4), reader.rows(0, "npho", 4, 8)
    change_bytes(path, int(check_files([path], PLAN)[0].layout.branches["npho"].seeks[0]) + 200, b"\0" * 50)
    assert first.ctypes.data + first.nbytes == second.ctypes.data
    assert np.array_equal(reader.rows(0, "npho", 8, 10), events["npho"][8:])


def test_damage_names_file_branch_and_entries(tmp_path):
    path = write_root(tmp_path / "a.root", make_events(20), basket=10, compression=uproot.ZLIB(1))
    files = check_files([path], PLAN)
    branch = files[0].layout.branches["time"]
    change_bytes(path, int(branch.seeks[1] + branch.num_bytes[1]) - 400, b"\1\2\3\4")
    with pytest.raises(DataError, match=r"a.root: branch 'time', entries 10 to 19 cannot be read .*DeflateError"):
        BasketReader(files).rows(0, "time", 12, 13)


def test_files_that_vanished_or_changed_are_refused(tmp_path):
    path = write_root(tmp_path / "a.root", make_events(5))
    files = check_files([path], PLAN)
    write_root(path, make_events(6))
    with pytest.raises(DataError, match=r"a.root: the file changed while it was in use"):
        BasketReader(files).rows(0, "npho", 0, 1)
    path.unlink()
    with pytest.raises(DataError, match=r"a.root: no such file; it was there at the start"):
        BasketReader(files).rows(0, "npho", 0, 1)


def test_the_longest_unused_file_is_closed_and_opened_again(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.data.trees.basket_reader._MAX_OPEN", 1)
    files = check_files([write_root(tmp_path / f"{i}.root", make_events(3, first_event=i)) for i in range(2)], PLAN)
    reader = BasketReader(files)
    assert [reader.rows(index, "event", 0, 1).item() for index in (0, 1, 0)] == [0, 1, 0]
    assert np.array_equal(reader.rows(1, "npho", 0, 3), make_events(3, first_event=1)["npho"])
    reader.close()
    assert reader.rows(1, "event", 2, 3).item() == 3


@pytest.mark.parametrize("codec", [None, uproot.ZSTD(1)], ids=["none", "zstd"])
def test_recorded_hashes_catch_every_flipped_bit(tmp_path, codec):
    path = write_root(tmp_path / "a.root", make_events(20), basket=10, compression=codec)
    # npho, time, run, event and eight truth branches in two baskets each.
    assert record_hashes(path, "tree") == 24
    files = check_files([path], PLAN)
    assert np.array_equal(BasketReader(files).rows(0, "npho", 0, 10), make_events(20)["npho"][:10])
    content = path.read_bytes()
    npho = files[0].layout.branches["npho"]
    for place in np.random.default_rng(0).integers(0, npho.num_bytes[1], 10).tolist():
        position = int(npho.seeks[1]) + place
        change_bytes(path, position, bytes([content[position] ^ 16]))
        with pytest.raises(DataError, match=r"a.root: branch 'npho', entries 10 to 19 .* not what it was when"):
            BasketReader(files).rows(0, "npho", 15, 16)
        change_bytes(path, position, content[position : position + 1])
    change_bytes(path, int(npho.seeks[0]) + 300, b"\1\2\3")
    with pytest.raises(DataError, match=r"'npho', entries 0 to 9 have other content than when their hashes"):
        record_hashes(path, "tree")


def test_hashes_of_a_faulty_file_are_not_recorded(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        record_hashes(tmp_path / "none.root", "tree")
