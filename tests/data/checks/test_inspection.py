import json
import shutil

import numpy as np
import pytest

from lib.data.checks.inspection import inspect_dataset
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.stream import open_stream
from lib.data.trees.schema import BranchPlan, check_files
from tests.data.root_files import change_bytes, make_events, write_root

NORMALIZATION = Normalization.from_config(NormalizationConfig())


@pytest.fixture
def validation_folder(tmp_path, root_folder):
    folder = tmp_path / "validation"
    folder.mkdir()
    shutil.copy(root_folder / "part_2.root", folder)
    return folder


@pytest.fixture
def own_folder(tmp_path):
    """A validation file of events that are in no other file."""
    folder = tmp_path / "own"
    folder.mkdir()
    write_root(folder / "own.root", make_events(33, first_event=500))
    return folder


def findings(config, **normalization):
    return inspect_dataset(config, NormalizationConfig(**normalization), ("xyzTruth",)).findings


def messages(found, severity):
    return [finding.message for finding in found if finding.severity == severity]


def altered(path, **changes):
    events = make_events(20, first_event=1000)
    for name, change in changes.items():
        change(events[name])
    return write_root(path, events)


def test_good_files_give_notes_and_nothing_else(data_config, validation_folder):
    found = findings(data_config(val_path=str(validation_folder)))
    # The validation file is a copy of a training file; without it there is nothing to complain about.
    (validation_folder / "part_2.root").unlink()
    write_root(validation_folder / "other.root", make_events(33, first_event=500))
    assert [finding.severity for finding in found if finding.severity != "note"] == ["error"]
    found = findings(data_config(val_path=str(validation_folder)))
    assert {finding.severity for finding in found} == {"note"}
    texts = [finding.message for finding in found]
    assert "173 events selected, 0 cut, in 3 usable files." in texts
    assert "33 events selected, 0 cut, in 1 usable files." in texts
    assert any(text.startswith("'npho': 0.021 % without value (1e10); 'time': 0.021 %") for text in texts)
    assert sum("up to 64 events, at the start and at one other place," in text for text in texts) == 2


def test_files_in_both_splits_are_an_error(data_config, root_folder, tmp_path):
    (tmp_path / "link.root").symlink_to(root_folder / "part_1.root")
    found = findings(data_config(val_path=str(tmp_path / "link.root")))
    assert any("1 files are also used for training" in text for text in messages(found, "error"))


def test_schema_faults_of_both_splits_come_at_once_and_first(data_config, tmp_path):
    (tmp_path / "empty.root").touch()
    found = findings(data_config(train_path=str(tmp_path / "empty.root"), val_path=str(tmp_path / "none.root")))
    errors = messages(found, "error")
    assert any("the file is empty" in text for text in errors)
    assert any("none.root: no such file" in text for text in errors)
    assert found[0].severity == "error"


def test_repetitions_are_a_warning(data_config, root_folder, own_folder):
    twice = [str(root_folder), str(root_folder / "part_0.root")]
    found = findings(data_config(train_path=twice, val_path=str(own_folder)))
    assert any("named more than once" in text for text in messages(found, "warning"))


def test_a_batch_larger_than_the_training_set_is_an_error(data_config, own_folder):
    found = findings(data_config(val_path=str(own_folder), batch_size=300))
    assert messages(found, "error") == ["173 selected events are fewer than one batch of 300. Lower data.batch_size."]


def test_an_empty_selection_is_an_error(data_config, own_folder):
    found = findings(data_config(val_path=str(own_folder), fiducial={"w_min": 99.0}))
    assert sum("No event is left" in text for text in messages(found, "error")) == 2


def test_nan_shares_are_counted(data_config, tmp_path):
    def spoil(values):
        values[0, :476] = np.nan

    path = altered(tmp_path / "nan.root", npho=spoil)
    found = findings(data_config(val_path=str(path)))
    assert "0.5 % of the values of 'npho' are NaN or infinite; they count as no value." in messages(found, "warning")


def test_sensors_without_values_are_noticed(data_config, tmp_path):
    path = altered(tmp_path / "dead.root", npho=lambda values: values.fill(1e10))
    warnings = messages(findings(data_config(val_path=str(path))), "warning")
    assert any("only 0 % of the sensors have a 'npho'" in text for text in warnings)
    assert any("no sensor has a usable 'time'" in text for text in warnings)


def test_times_in_nanoseconds_are_noticed(data_config, tmp_path):
    def to_ns(values):
        values[values < 9e9] *= 1e9

    path = altered(tmp_path / "ns.root", time=to_ns)
    found = findings(data_config(val_path=str(path)))
    assert any("Are these ns?" in text for text in messages(found, "warning"))


@pytest.mark.parametrize(
    "normalization",
    [
        {"npho_scale": 1e9},
        {"npho_scheme": "linear", "npho_scale": 0.58},
        {"npho_scale": 1e5},
        {"npho_scale": 5.0},
    ],
)
def test_a_normalization_of_another_branch_is_noticed(data_config, own_folder, normalization):
    found = findings(data_config(val_path=str(own_folder)), **normalization)
    assert any("meant for another branch?" in text for text in messages(found, "warning"))


def test_conversions_are_noted(data_config, tmp_path):
    events = make_events(20)
    path = write_root(tmp_path / "double.root", {**events, "time": events["time"].astype(np.float64)})
    assert any("stored as float64" in text for text in messages(findings(data_config(val_path=str(path))), "note"))


def test_damage_in_the_first_events_is_an_error(data_config, tmp_path, root_folder):
    path = tmp_path / "cut.root"
    content = bytearray((root_folder / "part_0.root").read_bytes())
    import uproot

    with uproot.open(root_folder / "part_0.root", handler=uproot.MemmapSource) as file:
        seek = file["tree"]["npho"].member("fBasketSeek")[0]
    content[seek : seek + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    found = findings(data_config(val_path=str(path)))
    errors = messages(found, "error")
    assert any("branch 'npho', entries 0 to 31 cannot be read" in text for text in errors)
    # It is a copy of a training file all the same, by its truth.
    assert any("90 events have the truth of a training event" in text for text in errors)
    assert len(errors) == 2


def test_the_state_of_the_cache_is_told(data_config, tmp_path):
    require, auto = (data_config(cache=kind, cache_dir=str(tmp_path / "cache")) for kind in ("require", "auto"))
    errors = messages(findings(require), "error")
    assert any(
        "3 of 3 files cannot be taken from the cache (3 missing): " in text and "build_cache.py" in text
        for text in errors
    )
    assert "3 of 3 files are packed at the start of the training (3 missing)." in messages(findings(auto), "note")
    open_stream(auto, Normalization.from_config(NormalizationConfig()), (), split="train", seed=0)
    assert any("all 3 files are in the cache" in text for text in messages(findings(require), "note"))


def test_each_state_of_a_packed_copy_is_told_apart(data_config, tmp_path, root_folder):
    folder = tmp_path / "data"
    shutil.copytree(root_folder, folder)
    paths = {"train_path": str(folder), "val_path": str(folder), "cache_dir": str(tmp_path / "cache")}
    open_stream(data_config(**paths, cache="auto"), NORMALIZATION, (), split="train", seed=0)
    write_root(folder / "part_0.root", make_events(80))
    next((tmp_path / "cache").glob("part_1*.json")).unlink()
    next((tmp_path / "cache").glob("part_2*.json")).write_text("{}")
    write_root(folder / "part_3.root", make_events(20, first_event=900))
    (fault,) = {text for text in messages(findings(data_config(**paths, cache="require")), "error") if "cache" in text}
    assert "4 of 4 files cannot be taken from the cache (1 stale, 1 partial, 1 damaged, 1 missing)" in fault


def test_a_hard_link_is_the_same_file(data_config, root_folder, tmp_path):
    (tmp_path / "hard.root").hardlink_to(root_folder / "part_1.root")
    found = findings(data_config(val_path=str(tmp_path / "hard.root")))
    assert any("1 files are also used for training" in text for text in messages(found, "error"))


def test_a_copy_of_training_events_is_an_error_whatever_their_numbers(data_config, tmp_path):
    for path, numbers in ((tmp_path / "copy.root", slice(0, 20)), (tmp_path / "renumbered.root", slice(20, 40))):
        events = {name: values[30:50] for name, values in make_events(90).items()}
        write_root(path, {**events, "event": np.arange(100)[numbers] + 7000})
        (error,) = messages(findings(data_config(val_path=str(path))), "error")
        assert error.startswith(f"20 events have the truth of a training event: {path} entry 0 like ")
        assert "part_0.root entry 30" in error
        assert "5 of 5 examples have the same photon counts too." in error


def test_numbers_that_start_anew_are_no_overlap(data_config, tmp_path):
    events = {**make_events(20, first_event=4000), "event": np.arange(20)}
    found = findings(data_config(val_path=str(write_root(tmp_path / "anew.root", events))))
    assert not messages(found, "error")
    assert "20 events have numbers that training events have too, but they are others." in messages(found, "note")


def test_without_truth_events_are_known_by_their_numbers(data_config, tmp_path):
    def real(first):
        return {name: make_events(20, first_event=first)[name] for name in ("npho", "time", "run", "event")}

    write_root(tmp_path / "train.root", real(0))
    write_root(tmp_path / "val.root", real(10))
    config = data_config(train_path=str(tmp_path / "train.root"), val_path=str(tmp_path / "val.root"))
    found = inspect_dataset(config, NormalizationConfig(), ()).findings
    (error,) = messages(found, "error")
    assert error.startswith("10 events have the run and event number of a training event")


def test_repeated_events_are_noticed_within_and_across_files(data_config, tmp_path, own_folder):
    events = make_events(20, first_event=2000)
    for name in events:
        events[name][5] = events[name][3]
    (tmp_path / "train").mkdir()
    write_root(tmp_path / "train" / "a.root", events)
    shutil.copy(tmp_path / "train" / "a.root", tmp_path / "train" / "b.root")
    found = findings(data_config(train_path=str(tmp_path / "train"), val_path=str(own_folder)))
    (warning,) = [text for text in messages(found, "warning") if "truth of an earlier one" in text]
    assert warning.startswith("21 events have the truth of an earlier one")
    assert "a.root entry 5 like" in warning


def test_restarted_numbers_within_a_split_are_told_as_such(data_config, tmp_path, own_folder):
    (tmp_path / "train").mkdir()
    for first in (0, 3000):
        events = {**make_events(20, first_event=first), "event": np.arange(20)}
        write_root(tmp_path / "train" / f"{first}.root", events)
    found = findings(data_config(train_path=str(tmp_path / "train"), val_path=str(own_folder)))
    (warning,) = [text for text in messages(found, "warning") if "run and event number of an earlier one" in text]
    assert warning.startswith("20 events")
    assert "0 of 5 examples have the same photon counts too. Numbers start anew" in warning


@pytest.mark.parametrize(
    ("name", "factor", "advice"),
    [
        ("timeTruth", 1.0, "times are seconds. Are these ns?"),
        ("energyTruth", 50.0, "energies are GeV. Are these MeV?"),
        ("uvwTruth", 1e3, "lengths are cm. Are these mm?"),
        ("emiAng", 0.1, "angles are degrees. Are these radians?"),
    ],
)
def test_truth_in_another_unit_is_noticed(data_config, tmp_path, own_folder, name, factor, advice):
    def scale(values):
        values *= factor

    path = altered(tmp_path / "unit.root", **{name: scale})
    config = data_config(train_path=str(path), val_path=str(own_folder))
    found = inspect_dataset(config, NormalizationConfig(), (name,)).findings
    assert any(advice in finding.message for finding in found if finding.place == str(path))


def test_truth_without_value_is_noticed(data_config, tmp_path, own_folder):
    path = altered(tmp_path / "nan.root", energyTruth=lambda values: values.__setitem__(3, np.nan))
    config = data_config(train_path=str(path), val_path=str(own_folder))
    found = inspect_dataset(config, NormalizationConfig(), ("energyTruth",)).findings
    assert any("'energyTruth' holds NaN or infinite values" in text for text in messages(found, "warning"))


def test_everything_is_read_when_asked_for(data_config, tmp_path, root_folder, own_folder):
    folder = tmp_path / "data"
    shutil.copytree(root_folder, folder)
    layout = check_files([folder / "part_0.root"], BranchPlan("tree", "npho", "time"))[0].layout
    change_bytes(folder / "part_0.root", int(layout.branches["time"].seeks[2]), b"\xff" * 4)
    config = data_config(train_path=str(folder), val_path=str(own_folder), on_bad="quarantine", max_bad_share=0.5)
    report = inspect_dataset(config, NormalizationConfig(), (), everything=True)
    assert any("entries 80 to 89 cannot be read" in text for text in messages(report.findings, "warning"))
    assert [(r.read, r.used, r.cut, r.quarantined) for r in report.ledger["data.train_path"]] == [
        (90, 80, 0, 10),
        (50, 50, 0, 0),
        (33, 33, 0, 0),
    ]
    strict = inspect_dataset(
        config.model_copy(update={"max_bad_share": 0.01}), NormalizationConfig(), (), everything=True
    )
    assert any("10 of 173 events cannot be read, more than" in text for text in messages(strict.findings, "error"))


def test_a_file_that_quarantine_leaves_out_is_a_warning_unless_it_is_the_only_one(data_config, tmp_path, own_folder):
    write_root(own_folder / "narrow.root", {**make_events(20), "time": np.zeros((20, 4700), np.float32)})
    settings = {"on_bad": "quarantine", "max_bad_share": 0.5, "quarantine_report": str(tmp_path / "bad.jsonl")}
    report = inspect_dataset(data_config(val_path=str(own_folder), **settings), NormalizationConfig(), ())
    assert not messages(report.findings, "error")
    assert any("expected 4760 values per event, got 4700" in text for text in messages(report.findings, "warning"))
    rows = report.ledger["data.val_path"]
    assert sorted((row.read, row.used, row.quarantined) for row in rows) == [(20, 0, 20), (33, 33, 0)]
    alone = data_config(val_path=str(own_folder / "narrow.root"), **settings)
    errors = messages(inspect_dataset(alone, NormalizationConfig(), ()).findings, "error")
    assert "not one of 1 files can be read." in errors


def test_what_earlier_runs_quarantined_is_in_the_ledger(data_config, tmp_path, root_folder, own_folder):
    fault = {"path": str(root_folder / "part_0.root"), "start": 40, "stop": 80}
    (tmp_path / "bad.jsonl").write_text(json.dumps(fault) + "\n")
    settings = {"on_bad": "quarantine", "quarantine_report": str(tmp_path / "bad.jsonl"), "max_bad_share": 0.5}
    config = data_config(val_path=str(own_folder), cut="event >= 60", **settings)
    row = inspect_dataset(config, NormalizationConfig(), ()).ledger["data.train_path"][0]
    assert (row.read, row.used, row.cut, row.quarantined) == (90, 10, 60, 20)


def test_baskets_larger_than_a_block_are_noticed(data_config, tmp_path, own_folder):
    path = write_root(tmp_path / "large.root", make_events(100, first_event=3000), basket=100)
    config = data_config(train_path=str(path), val_path=str(own_folder))
    (warning,) = messages(findings(config), "warning")
    assert warning.startswith("baskets hold up to 100 events, and data.chunksize 64 divides them into parts of 64")
    assert not messages(findings(config.model_copy(update={"chunksize": 400})), "warning")
