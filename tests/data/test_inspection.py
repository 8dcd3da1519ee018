import shutil

import numpy as np
import pytest

from lib.data.config import NormalizationConfig
from lib.data.inspection import inspect_dataset
from lib.data.normalization import Normalization
from lib.data.stream import open_stream
from tests.data.root_files import make_events, write_root


@pytest.fixture
def validation_folder(tmp_path, root_folder):
    folder = tmp_path / "validation"
    folder.mkdir()
    shutil.copy(root_folder / "part_2.root", folder)
    return folder


def findings(config, **normalization):
    return inspect_dataset(config, NormalizationConfig(**normalization), ("energyTruth",))


def messages(found, severity):
    return [finding.message for finding in found if finding.severity == severity]


def altered(path, **changes):
    events = make_events(20)
    for name, change in changes.items():
        change(events[name])
    return write_root(path, events)


def test_good_files_give_counts_and_nothing_else(data_config, validation_folder):
    found = findings(data_config(val_path=str(validation_folder)))
    assert {finding.severity for finding in found} == {"note"}
    assert [finding.message for finding in found] == [
        "173 events selected, 0 cut, in 3 usable files.",
        "33 events selected, 0 cut, in 1 usable files.",
    ]


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


def test_repetitions_are_a_warning(data_config, root_folder, validation_folder):
    twice = [str(root_folder), str(root_folder / "part_0.root")]
    found = findings(data_config(train_path=twice, val_path=str(validation_folder)))
    assert any("named more than once" in text for text in messages(found, "warning"))


def test_a_batch_larger_than_the_training_set_is_an_error(data_config, validation_folder):
    found = findings(data_config(val_path=str(validation_folder), batch_size=300))
    assert messages(found, "error") == ["173 selected events are fewer than one batch of 300. Lower data.batch_size."]


def test_an_empty_selection_is_an_error(data_config, validation_folder):
    found = findings(data_config(val_path=str(validation_folder), fiducial={"w_min": 99.0}))
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


@pytest.mark.parametrize("normalization", [{"npho_scale": 1e9}, {"npho_scheme": "linear", "npho_scale": 0.58}])
def test_a_normalization_of_another_branch_is_noticed(data_config, validation_folder, normalization):
    found = findings(data_config(val_path=str(validation_folder)), **normalization)
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
    assert any("branch 'npho', entries 0 to 39 cannot be read" in text for text in messages(found, "error"))


def test_the_state_of_the_cache_is_told(data_config, tmp_path):
    require, auto = (data_config(cache=kind, cache_dir=str(tmp_path / "cache")) for kind in ("require", "auto"))
    errors = messages(findings(require), "error")
    assert any("3 of 3 files cannot be taken from the cache: " in text and "build_cache.py" in text for text in errors)
    assert "3 of 3 files are packed at the start of the training." in messages(findings(auto), "note")
    open_stream(auto, Normalization.from_config(NormalizationConfig()), (), split="train", seed=0)
    assert any("all 3 files are in the cache" in text for text in messages(findings(require), "note"))
