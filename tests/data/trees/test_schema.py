import logging

import awkward as ak
import numpy as np
import pytest
import uproot

from lib.data.trees.schema import BranchAdvice, BranchPlan, check_files
from lib.errors import DataError
from tests.data.root_files import make_events, write_root

PLAN = BranchPlan("tree", "npho", "time", ("energyTruth", "uvwTruth"))


def without(*names):
    return {name: values for name, values in make_events(6).items() if name not in names}


def test_a_good_file_is_described(root_folder):
    schema = check_files([root_folder / "part_0.root"], PLAN)[0]
    assert schema.num_entries == 90
    assert schema.basket_edges.tolist() == [0, 40, 80, 90]
    assert schema.has_number("run")
    assert schema.has_number("event")
    assert not schema.has_number("uvwTruth")


def test_real_data_need_no_truth_and_no_run_numbers(tmp_path):
    path = write_root(tmp_path / "real.root", {name: make_events(6)[name] for name in ("npho", "time")})
    schema = check_files([path], BranchPlan("tree", "npho", "time"))[0]
    assert not schema.has_number("run")
    assert not schema.has_number("event")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone.root: no such file"):
        check_files([tmp_path / "gone.root"], PLAN)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", r"bad.root: the file is empty \(0 bytes\)"), (b"text, not ROOT", r"bad.root: not a ROOT file .*b'text'")],
)
def test_what_is_no_root_file_is_refused(tmp_path, content, message):
    (tmp_path / "bad.root").write_bytes(content)
    with pytest.raises(DataError, match=message):
        check_files([tmp_path / "bad.root"], PLAN)


def test_a_truncated_file_is_refused(tmp_path, root_folder):
    whole = (root_folder / "part_2.root").read_bytes()
    (tmp_path / "cut.root").write_bytes(whole[:300])
    with pytest.raises(DataError, match=r"cut.root: cannot be read .*incomplete"):
        check_files([tmp_path / "cut.root"], PLAN)


def test_a_wrong_tree_name_is_answered_with_the_nearest(root_folder):
    with pytest.raises(DataError, match=r"no tree 'trees'; nearest: tree. Set data.tree_name"):
        check_files([root_folder / "part_0.root"], BranchPlan("trees", "npho", "time"))


def test_an_object_that_is_no_tree_is_refused(tmp_path):
    with uproot.recreate(tmp_path / "hist.root") as file:
        file["tree"] = np.histogram([1.0, 2.0])
    with pytest.raises(DataError, match=r"'tree' is a TH1D, expected a TTree"):
        check_files([tmp_path / "hist.root"], PLAN)


def test_a_missing_input_branch_is_answered_with_the_nearest_and_the_setting(root_folder):
    plan = BranchPlan("tree", "nphoo", "tme")
    with pytest.raises(
        DataError, match=r"(?s)no branch 'nphoo'; nearest: npho.* Set data.npho_branch.*data.time_branch"
    ):
        check_files([root_folder / "part_0.root"], plan)


def test_missing_truth_is_named(tmp_path):
    path = write_root(tmp_path / "real.root", without("energyTruth"))
    with pytest.raises(DataError, match=r"no branch 'energyTruth'.*needs it as truth"):
        check_files([path], PLAN)


def test_a_wrong_width_is_refused_with_both_widths(tmp_path):
    events = make_events(6)
    path = write_root(tmp_path / "narrow.root", {**events, "npho": events["npho"][:, :4700]})
    with pytest.raises(DataError, match=r"branch 'npho': expected 4760 values per event, got 4700"):
        check_files([path], PLAN)


def test_jagged_inputs_are_refused(tmp_path):
    path = write_root(tmp_path / "jagged.root", {**without("npho"), "npho": ak.Array([[1.0, 2.0], [3.0]] * 3)})
    with pytest.raises(DataError, match=r"branch 'npho': expected 4760 values per event, got 2"):
        check_files([path], PLAN)


def test_a_tree_without_entries_is_refused(tmp_path):
    path = write_root(tmp_path / "none.root", {name: values[:0] for name, values in make_events(1).items()})
    with pytest.raises(DataError, match="tree 'tree' has no entries"):
        check_files([path], PLAN)


def test_all_problems_of_all_files_come_in_one_message(tmp_path):
    (tmp_path / "bad.root").write_bytes(b"")
    poor = write_root(tmp_path / "poor.root", without("energyTruth", "uvwTruth"))
    with pytest.raises(DataError, match=r"(?s)3 problems in 2 input files:.*empty.*energyTruth.*uvwTruth"):
        check_files([tmp_path / "bad.root", poor], PLAN)


def test_other_number_types_are_accepted_and_said_of_sensors(tmp_path, caplog):
    events = make_events(6)
    path = write_root(
        tmp_path / "double.root",
        {**events, "npho": events["npho"].astype(np.float64), "energyTruth": np.ones(6, dtype=np.int32)},
    )
    with caplog.at_level(logging.INFO, logger="lib.data.trees.schema"):
        check_files([path], PLAN)
    assert caplog.messages == ["branch 'npho' is stored as float64 and is converted to float32."]


def test_truth_of_unknown_width_is_refused():
    with pytest.raises(DataError, match="'energyTrue' is no truth branch; nearest: energyTruth"):
        BranchPlan("tree", "npho", "time", ("energyTrue",))


@pytest.mark.parametrize(
    ("name", "component", "message"),
    [
        ("energyTrue", None, "no branch 'energyTrue'; nearest: energyTruth.* The selection of events looks at it"),
        ("uvwTruth", None, r"branch 'uvwTruth' is a float\[3\], expected a plain number"),
        ("run", 0, "branch 'run' is a int64_t, expected an array of fixed length"),
        ("uvwTruth", 3, "branch 'uvwTruth' has the components 0 to 2, not 3"),
    ],
)
def test_branches_that_a_cut_looks_at_are_checked(root_folder, name, component, message):
    plan = BranchPlan("tree", "npho", "time", (), ((name, component),))
    with pytest.raises(DataError, match=message):
        check_files([root_folder / "part_0.root"], plan)


def test_advice_is_that_of_who_asks(root_folder, tmp_path):
    silent = BranchAdvice(tree="Name another by --tree", npho="", time="")
    with pytest.raises(DataError, match=r"no tree 'trees'; nearest: tree\. Name another by --tree\.$"):
        check_files([root_folder / "part_0.root"], BranchPlan("trees", "npho", "time", advice=silent))
    with pytest.raises(DataError, match=r"no branch 'nphoo'; nearest: [^.]*\.$"):
        check_files([root_folder / "part_0.root"], BranchPlan("tree", "nphoo", "time", advice=silent))
    narrow = write_root(tmp_path / "narrow.root", {**make_events(6), "time": np.zeros((6, 4700), np.float32)})
    with pytest.raises(DataError, match=r"expected 4760 values per event, got 4700\. Write the file anew\.$"):
        check_files([narrow], BranchPlan("tree", "npho", "time", advice=silent))
