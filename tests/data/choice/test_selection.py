import numpy as np
import pytest

from lib.data.choice.expression import parse_expression
from lib.data.choice.selection import EventCuts, FileSelection, select_events
from lib.data.trees.schema import BranchPlan, check_files
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
    selections = select_events(files, PLAN, EventCuts())
    assert [(s.num_selected, s.num_cut) for s in selections] == [(20, 0), (20, 0)]
    assert selections[0].selected_between(4, 7).tolist() == [4, 5, 6]


def test_the_ledger_counts_selected_and_cut_events_of_each_file(files):
    selections = select_events(files, PLAN, EventCuts(Fiducial()))
    assert [(s.num_selected, s.num_cut) for s in selections] == [(17, 3), (20, 0)]
    assert selections[0].selected_between(2, 9).tolist() == [2, 4, 6, 8]


def test_no_event_left_is_an_error_with_the_counts(files):
    with pytest.raises(DataError, match=r"40 read from 2 files, all cut by .*w > 50.0 cm. Widen or remove the cut"):
        select_events(files, PLAN, EventCuts(Fiducial(w_min=50.0)))


def test_selected_entries_are_found_by_range(files):
    selection = FileSelection(files[0], np.array([0, 9, 10, 19]))
    ranges = [(0, 1), (1, 9), (9, 11), (0, 20)]
    found = [selection.selected_between(*entries).tolist() for entries in ranges]
    assert found == [[0], [], [9, 10], [0, 9, 10, 19]]


def test_all_cuts_must_be_fulfilled(tmp_path):
    events = make_events(8)
    events["energyTruth"][:] = np.linspace(0.01, 0.08, 8)
    events["uvwTruth"][:] = [0.0, 0.0, 1.0]
    events["uvwTruth"][4, 2] = -1.0
    files = check_files([write_root(tmp_path / "a.root", events)], PLAN)
    cuts = EventCuts(Fiducial(), (0.019, 0.071), parse_expression("event != 2 and not energyTruth > 0.065"))
    assert dict(cuts.branches) == {"uvwTruth": 2, "energyTruth": None, "event": None}
    assert select_events(files, PLAN, cuts)[0].entries.tolist() == [1, 3, 5]
    with pytest.raises(DataError, match=r"data.energy_range 1.0 to 2.0 GeV. Widen .* units of energyTruth"):
        select_events(files, PLAN, EventCuts(energy_range=(1.0, 2.0)))


def test_weights_are_found_by_range(files):
    weights = np.array([1.0, 2.0, 3.0], np.float32)
    chosen = FileSelection(files[0], np.array([0, 9, 10]), weights)
    assert chosen.weights_between(5, 20).tolist() == [2.0, 3.0]
    assert FileSelection(files[0], None).weights_between(3, 5).tolist() == [1.0, 1.0]
    assert FileSelection(files[0], np.array([4])).weights_between(3, 5).tolist() == [1.0]
