from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from lib.data.trees.schema import BranchPlan, check_files
from lib.data.trees.source import EventReader, iterate_raw
from lib.errors import DataError
from tests.data.root_files import change_bytes, make_events, write_root

PLAN = BranchPlan("tree", "npho", "time", ("energyTruth", "uvwTruth"))


def read_all(folder, **settings):
    files = check_files(sorted(folder.glob("*.root")), PLAN)
    return list(iterate_raw(files, PLAN, **settings))


@pytest.mark.parametrize(("chunk", "threads"), [(7, 1), (40, 3), (1000, 2)])
def test_all_events_come_in_the_order_of_files(root_folder, chunk, threads):
    chunks = read_all(root_folder, chunk=chunk, threads=threads)
    assert np.concatenate([c.event for c in chunks]).tolist() == list(range(173))
    assert max(map(len, chunks)) <= chunk
    expected = make_events(50, first_event=90)
    second = [c for c in chunks if 90 <= c.event[0] < 140]
    assert np.array_equal(np.concatenate([c.npho for c in second]), expected["npho"])
    assert np.array_equal(np.concatenate([c.truth["uvwTruth"] for c in second]), expected["uvwTruth"])


def test_values_are_native_float32_and_plain_numbers_have_an_axis(root_folder):
    chunk = read_all(root_folder)[0]
    for values in (chunk.npho, chunk.time, *chunk.truth.values()):
        assert values.dtype == np.dtype("=f4")
        assert values.flags.c_contiguous
    assert chunk.truth["energyTruth"].shape == (90, 1)
    assert chunk.run.dtype == chunk.event.dtype == np.int64


def test_float64_and_integers_become_float32_and_overflow_becomes_no_value(tmp_path):
    events = make_events(4)
    events["npho"] = events["npho"].astype(np.float64)
    events["npho"][0, 0] = 1e300
    events["uvwTruth"] = np.arange(12, dtype=np.int16).reshape(4, 3)
    write_root(tmp_path / "double.root", events)
    chunk = read_all(tmp_path)[0]
    assert chunk.npho.dtype == chunk.truth["uvwTruth"].dtype == np.float32
    assert np.isinf(chunk.npho[0, 0])
    assert chunk.truth["uvwTruth"][3].tolist() == [9.0, 10.0, 11.0]


def test_files_without_numbers_get_file_and_entry(tmp_path):
    for index in range(2):
        events = make_events(5)
        write_root(tmp_path / f"{index}.root", {name: events[name] for name in ("npho", "time")})
    plan = BranchPlan("tree", "npho", "time")
    chunks = list(iterate_raw(check_files(sorted(tmp_path.glob("*.root")), plan), plan, chunk=3))
    assert np.concatenate([c.run for c in chunks]).tolist() == [0] * 5 + [1] * 5
    assert np.concatenate([c.event for c in chunks]).tolist() == [0, 1, 2, 3, 4] * 2


def test_a_file_that_was_replaced_is_noticed(tmp_path):
    path = write_root(tmp_path / "a.root", make_events(20))
    files = check_files([path], PLAN)
    write_root(path, make_events(21))
    with pytest.raises(DataError, match=r"a.root: the file changed while it was in use. Start again"):
        EventReader(files, PLAN).read(0, 0, 10)


def test_a_width_that_is_not_the_checked_one_is_refused(tmp_path):
    path = write_root(tmp_path / "a.root", make_events(20))
    file = check_files([path], PLAN)[0]
    narrow = replace(file.layout.branches["npho"], shape=(4700,), seeks=np.empty(0, np.int64))
    lied = replace(file, layout=replace(file.layout, branches={**file.layout.branches, "npho": narrow}))
    reader = EventReader([lied], BranchPlan("tree", "npho", "time"))
    assert np.array_equal(reader.read(0, 3, 5).npho, make_events(20)["npho"][3:5])
    with pytest.raises(DataError, match=r"branch 'uvwTruth', entries 0 to 19: expected 1 values per event, got shape"):
        reader.read_float32(0, "uvwTruth", 0, 20, 1)


@pytest.mark.parametrize("lost", ["header", "seeks"])
def test_baskets_of_unknown_form_are_left_to_the_root_library(tmp_path, lost):
    events = make_events(30)
    path = write_root(tmp_path / "a.root", events, basket=10)
    file = check_files([path], PLAN)[0]
    npho = file.layout.branches["npho"]
    # Without places there is nothing to read directly; with wrong lengths the keys look odd.
    odd = replace(npho, seeks=npho.seeks[:0]) if lost == "seeks" else replace(npho, num_bytes=npho.num_bytes - 1)
    changed = replace(file, layout=replace(file.layout, branches={**file.layout.branches, "npho": odd}))
    pieces = list(EventReader([changed], PLAN).sensor_pieces(0, 5, 25))
    assert [piece.start for piece in pieces] == [5, 10, 20]
    assert np.array_equal(np.concatenate([np.array(piece.npho) for piece in pieces]), events["npho"][5:25])
    assert np.array_equal(pieces[-1].time, events["time"][20:25])


def test_sensor_pieces_of_another_number_type_are_converted(tmp_path):
    events = make_events(8)
    write_root(tmp_path / "a.root", {**events, "npho": events["npho"].astype(np.float64)}, basket=5)
    files = check_files([tmp_path / "a.root"], PLAN)
    for piece in EventReader(files, PLAN).sensor_pieces(0, 1, 7):
        assert piece.npho.dtype == piece.time.dtype == np.float32
        assert np.array_equal(piece.npho, events["npho"][piece.start : piece.stop])


def test_damage_is_reported_with_file_branch_and_entries(tmp_path):
    path = write_root(tmp_path / "a.root", make_events(20), basket=5)
    files = check_files([path], PLAN)
    seek = int(files[0].layout.branches["time"].seeks[2])
    change_bytes(path, seek, b"\xff\xff\xff\xff")
    with pytest.raises(DataError, match=r"a.root: tree 'tree', branch 'time', entries 10 to 13 cannot be read"):
        EventReader(files, PLAN).read(0, 8, 14)


def write_rntuple(path, events):
    with uproot.recreate(path) as file:
        file.mkrntuple("tree", {name: ak.to_regular(ak.Array(values), axis=None) for name, values in events.items()})


def write_jagged(path, events):
    write_root(path, {name: ak.Array(v.tolist()) if v.ndim > 1 else v for name, v in events.items()})


@pytest.mark.parametrize("write", [write_rntuple, write_jagged])
def test_rntuples_and_branches_of_variable_type_but_constant_length_are_read(tmp_path, write):
    events = make_events(12)
    write(tmp_path / "a.root", events)
    files = check_files([tmp_path / "a.root"], PLAN)
    reader = EventReader(files, PLAN)
    chunk = reader.read(0, 3, 9)
    assert np.array_equal(chunk.npho, events["npho"][3:9])
    assert np.array_equal(chunk.truth["uvwTruth"], events["uvwTruth"][3:9])
    assert chunk.event.tolist() == list(range(3, 9))
    (piece,) = reader.sensor_pieces(0, 2, 5)
    assert np.array_equal(piece.time, events["time"][2:5])


def test_entries_of_different_length_are_refused(tmp_path):
    events = make_events(3)
    npho = ak.Array([row[: 4760 - index // 2].tolist() for index, row in enumerate(events["npho"])])
    path = write_root(tmp_path / "a.root", {**events, "npho": npho})
    with pytest.raises(DataError, match=r"branch 'npho', entries 0 to 2 cannot be read .*same shape"):
        EventReader(check_files([path], PLAN), PLAN).read(0, 0, 3)
