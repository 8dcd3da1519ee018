import numpy as np
import pytest

from lib.data.choice.binning import cells_of
from lib.data.choice.reweighting import flattening_weights, reweight
from lib.data.choice.selection import EventCuts, FileSelection, select_events
from lib.data.config import ReweightingConfig
from lib.data.trees.schema import BranchPlan, check_files
from lib.errors import DataError
from tests.data.root_files import make_events, write_root

PLAN = BranchPlan("tree", "npho", "time", ("energyTruth", "uvwTruth"))


def test_weights_make_the_histogram_flat():
    points = np.random.default_rng(0).exponential(1.0, (4000, 1)).clip(0, 3)
    weights = flattening_weights(cells_of(points, 6), 1e6)
    contents, _ = np.histogram(points[:, 0], bins=6, weights=weights)
    assert np.allclose(contents, contents[0])
    assert weights.mean() == pytest.approx(1.0)


def test_two_quantities_are_flattened_together():
    points = np.random.default_rng(1).normal(size=(5000, 2))
    weights = flattening_weights(cells_of(points, 4), 1e6)
    contents, *_ = np.histogram2d(*points.T, bins=4, weights=weights)
    assert np.allclose(contents[contents > 0], contents.max())


def test_rare_bins_are_limited():
    points = np.array([[0.0]] * 999 + [[1.0]])
    weights = flattening_weights(cells_of(points, 2), 10.0)
    assert weights[-1] / weights[0] == pytest.approx(10.0 / (1000 / 999 / 2))
    assert weights.mean() == pytest.approx(1.0)


def test_a_constant_quantity_gives_equal_weights():
    assert np.array_equal(flattening_weights(cells_of(np.full((5, 1), 3.0), 20), 10.0), np.ones(5))


def test_selected_events_of_all_files_are_weighted_together(tmp_path):
    energies = (np.array([0.01, 0.01, 0.01, 0.09]), np.array([0.01, 0.09, 0.06]))
    for index, energy in enumerate(energies):
        events = make_events(len(energy))
        write_root(tmp_path / f"{index}.root", {**events, "energyTruth": energy.astype(np.float32)})
    files = check_files(sorted(tmp_path.glob("*.root")), PLAN)
    cut = EventCuts(energy_range=(0.0, 0.02))
    whole, part = [FileSelection(file, None) for file in files], select_events(files, PLAN, cut)
    config = ReweightingConfig(quantities=["energyTruth"], bins=2)
    first, second = reweight(whole, PLAN, config)
    # Four events in the lower bin and three in the upper one: 7/8 and 7/6.
    assert np.allclose(first.weights, [7 / 8, 7 / 8, 7 / 8, 7 / 6])
    assert np.allclose(second.weights, [7 / 8, 7 / 6, 7 / 6])
    assert np.allclose(second.weights_between(1, 3), [7 / 6, 7 / 6])
    assert [len(selection.weights) for selection in reweight(part, PLAN, config)] == [3, 1]


def test_a_quantity_without_value_is_refused(tmp_path):
    events = make_events(4)
    events["energyTruth"][2] = np.nan
    files = check_files([write_root(tmp_path / "a.root", events)], PLAN)
    config = ReweightingConfig(quantities=["1 / energyTruth"])
    with pytest.raises(DataError, match=r"a.root: data.reweighting of 1 / energyTruth: 1 events have no finite value"):
        reweight([FileSelection(files[0], None)], PLAN, config)
