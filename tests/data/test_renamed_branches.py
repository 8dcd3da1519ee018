"""Files that call branches otherwise must serve like those that do not."""

import logging

import awkward as ak
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lib.data.checks.inspection import inspect_dataset
from lib.data.config import DataConfig, NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.packed.cache_settings import CacheSettings
from lib.data.stream import open_stream
from lib.data.trees.layout_index import record_hashes
from lib.data.trees.schema import BranchPlan, check_files
from lib.data.trees.source import iterate_raw
from lib.errors import DataError
from tests.data.root_files import change_bytes, make_events, write_root

NORMALIZATION = Normalization.from_config(NormalizationConfig())
TRUTH = ("energyTruth", "uvwTruth")
NAMES = {
    "npho": "my_npho",
    "time": "t",
    "energyTruth": "Etrue",
    "uvwTruth": "uvw",
    "run": "runNumber",
    "event": "eventNumber",
}


def write_renamed(path, events, **settings):
    return write_root(path, {NAMES.get(name, name): values for name, values in events.items()}, **settings)


@pytest.fixture(scope="module")
def renamed_folder(tmp_path_factory):
    """The files of ``root_folder`` under other names; a decoy carries one of ours."""
    folder = tmp_path_factory.mktemp("renamed")
    first = 0
    for index, count in enumerate((90, 50, 33)):
        events = {**make_events(count, first_event=first), "decoy": np.zeros(count)}
        decoy = {"energyTruth": np.full(count, -1.0, np.float32)}
        renamed = {NAMES.get(name, name): values for name, values in events.items()}
        write_root(folder / f"part_{index}.root", {**renamed, **decoy})
        first += count
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cut": "energyTruth > 0 and uvwTruth[0] > -1"},
        {"energy_range": [0.1, 5.0]},
        {"reweighting": {"quantities": ["energyTruth"], "bins": 4}},
        {"cache": "auto"},
    ],
    ids=str,
)
def test_batches_are_those_of_files_with_the_usual_names(data_config, renamed_folder, tmp_path, settings):
    settings = {**settings, "cache_dir": str(tmp_path / "cache")}
    renamed = {"train_path": str(renamed_folder), "val_path": str(renamed_folder), "branches": NAMES}
    streams = [
        open_stream(data_config(**settings, **names), NORMALIZATION, TRUTH, split="train", seed=4)
        for names in ({}, renamed)
    ]
    for expected, batch in zip(streams[0].epoch(0), streams[1].epoch(0), strict=True):
        for name in ("x", "valid", "run", "event", "weight"):
            assert torch.equal(getattr(batch, name), getattr(expected, name)), name
        assert all(torch.equal(batch.truth[name], values) for name, values in expected.truth.items())


def test_names_in_the_file_stay_usable(data_config, renamed_folder):
    paths = {"train_path": str(renamed_folder), "val_path": str(renamed_folder), "npho_branch": "my_npho"}
    names = {name: it for name, it in NAMES.items() if name != "npho"}
    config = data_config(**paths, branches=names, cut="Etrue > 0 and energyTruth > 0")
    stream = open_stream(config, NORMALIZATION, TRUTH, split="train", seed=4)
    assert stream.num_events == sum((make_events(n, first_event=f)["energyTruth"] > 0).sum() for f, n in PARTS)


PARTS = ((0, 90), (90, 50), (140, 33))


def test_jagged_branches_are_found_under_their_names(tmp_path):
    events = make_events(9)
    path = write_renamed(tmp_path / "a.root", {n: ak.Array(v.tolist()) if v.ndim > 1 else v for n, v in events.items()})
    plan = BranchPlan("tree", "npho", "time", TRUTH, renamed=tuple(NAMES.items()))
    (chunk,) = iterate_raw(check_files([path], plan), plan)
    assert np.array_equal(chunk.npho, events["npho"])
    assert np.array_equal(chunk.truth["uvwTruth"], events["uvwTruth"])


def test_damage_is_told_under_the_name_in_the_file(tmp_path):
    path = write_renamed(tmp_path / "a.root", make_events(20), basket=10)
    record_hashes(path, "tree")
    plan = BranchPlan("tree", "npho", "time", renamed=tuple(NAMES.items()))
    files = check_files([path], plan)
    change_bytes(path, int(files[0].layout.branches["time"].seeks[1]) + 500, b"\1\2")
    with pytest.raises(DataError, match=r"a.root: branch 't', entries 10 to 19 cannot be read"):
        list(iterate_raw(files, plan))


def test_a_packed_copy_belongs_to_the_names_that_it_was_made_with(renamed_folder, tmp_path):
    def place(renamed):
        plan = BranchPlan("tree", "my_npho", "t", renamed=renamed)
        (file,) = check_files([renamed_folder / "part_0.root"], plan)
        return CacheSettings(tmp_path, plan, NORMALIZATION).place(file)

    assert place(()) != place((("energyTruth", "Etrue"),))


def test_a_name_that_files_lack_is_answered_with_the_nearest(data_config, renamed_folder):
    paths = {"train_path": str(renamed_folder), "val_path": str(renamed_folder)}
    config = data_config(**paths, branches={**NAMES, "npho": "mynpho", "event": "eventNumbr"})
    with pytest.raises(DataError, match=r"(?s)no branch 'mynpho', which is to serve as 'npho'; nearest: my_npho.*"):
        open_stream(config, NORMALIZATION, TRUTH, split="train", seed=4)
    found = inspect_dataset(config, NormalizationConfig(), TRUTH).findings
    errors = [f.message for f in found if f.severity == "error"]
    assert sum("'eventNumbr', which is to serve as 'event'; nearest: eventNumber" in text for text in errors) == 6
    assert all("Correct data.branches." in text for text in errors if "to serve as" in text)
    config = data_config(**paths, branches=NAMES)
    found = inspect_dataset(config, NormalizationConfig(), TRUTH).findings
    assert not [f for f in found if "no branch" in f.message]


def test_a_name_that_nobody_asks_for_is_refused():
    with pytest.raises(ValidationError, match="'energyTrue' is no branch of this suite; nearest: energyTruth"):
        DataConfig(train_path="a", val_path="b", branches={"energyTrue": "E"})
    DataConfig(train_path="a", val_path="b", branches={"photons": "my_npho"}, npho_branch="photons")


def test_conversions_of_renamed_branches_are_told(tmp_path, caplog):
    events = make_events(6)
    path = write_renamed(tmp_path / "a.root", {**events, "time": events["time"].astype(np.float64)})
    plan = BranchPlan("tree", "npho", "time", renamed=tuple(NAMES.items()))
    with caplog.at_level(logging.INFO, logger="lib.data.trees.schema"):
        (chunk,) = iterate_raw(check_files([path, path], plan)[:1], plan)
    assert caplog.messages == ["branch 'time' is stored as float64 and is converted to float32."]
    assert np.array_equal(chunk.time, events["time"])
