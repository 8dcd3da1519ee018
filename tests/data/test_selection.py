import numpy as np
import pytest

from lib.data.schema import BranchPlan, check_files
from lib.data.selection import FileSelection, select_events
from lib.errors import DataError
from lib.geometry.coordinates import Fiducial
from tests.data.root_files import make_events, write_root

PLAN = BranchPlan("tree", "npho", "time", ("uvwTruth",))


@pytest.fixture
def files(tmp_path):
    for index in range(2):
        events = make_events(20, first_event=20 * index)
        events["uvwTruth"][:] = [0.0, 0.0, 1.0]
        # One fault per coordinate, in the first file alone.
        if index == 0:
            events["uvwTruth"][[3, 5, 7]] = [[30.0, 0.0, 1.0], [0.0, -70.0, 1.0], [0.0, 0.0, -0.1]]
        write_root(tmp_path / f"{index}.root", events)
    return check_files(sorted(tmp_path.glob("*.root")), PLAN)


def test_without_a_volume_everything_is_selected(files):
    selections = select_events(files, PLAN, None)
    assert [(s.num_selected, s.num_cut) for s in selections] == [(20, 0), (20, 0)]
    assert selections[0].selected_between(4, 7).tolist() == [4, 5, 6]


def test_the_ledger_counts_selected_and_cut_events_of_each_file(files):
    selections = select_events(files, PLAN, Fiducial())
    assert [(s.num_selected, s.num_cut) for s in selections] == [(17, 3), (20, 0)]
    assert selections[0].selected_between(2, 9).tolist() == [2, 4, 6, 8]


def test_no_event_left_is_an_error_with_the_counts(files):
    with pytest.raises(
        DataError, match=r"40 read from 2 files, all cut by .*w > 50.0 cm. Widen or remove data.fiducial"
    ):
        select_events(files, PLAN, Fiducial(w_min=50.0))


def test_selected_entries_are_found_by_range(files):
    selection = FileSelection(files[0], np.array([0, 9, 10, 19]))
    ranges = [(0, 1), (1, 9), (9, 11), (0, 20)]
    found = [selection.selected_between(*entries).tolist() for entries in ranges]
    assert found == [[0], [], [9, 10], [0, 9, 10, 19]]
