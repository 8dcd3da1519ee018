import json
import shutil

import pytest

from lib.data.stream import open_stream
from lib.errors import DataError
from tests.data.root_files import change_bytes, make_events, write_root
from tests.data.test_stream import NORMALIZATION, TRUTH, event_numbers


@pytest.fixture
def mixed(root_folder, tmp_path):
    """The three sound files, one of text, and one without truth."""
    folder = tmp_path / "mixed"
    shutil.copytree(root_folder, folder)
    (folder / "note.root").write_text("no ROOT file")
    write_root(folder / "real.root", {name: make_events(20)[name] for name in ("npho", "time")})
    return folder


def open_mixed(data_config, folder, tmp_path, **settings):
    values = {"train_path": str(folder), "val_path": str(folder), "max_bad_share": 0.9, "on_bad": "quarantine"}
    report = {"quarantine_report": str(tmp_path / "bad.jsonl"), "cache_dir": str(tmp_path / "cache")}
    return open_stream(
        data_config(**{**values, **report, **settings}), NORMALIZATION, TRUTH, split="validation", seed=0
    )


@pytest.mark.parametrize("settings", [{}, {"cache": "auto"}], ids=str)
def test_files_that_cannot_serve_are_left_out_and_noted(data_config, mixed, tmp_path, settings):
    stream = open_mixed(data_config, mixed, tmp_path, **settings)
    assert event_numbers(list(stream.epoch(0))) == list(range(173))
    rows = {row.path.rpartition("/")[2]: row for row in stream.ledger()}
    assert (rows["real.root"].read, rows["real.root"].quarantined) == (20, 20)
    assert (rows["note.root"].read, rows["note.root"].quarantined) == (0, 0)
    assert all(row.read == row.used + row.cut + row.quarantined for row in rows.values())
    faults = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [fault["path"].rpartition("/")[2] for fault in faults] == ["note.root", "real.root"]
    assert "not a ROOT file" in faults[0]["cause"]
    assert "has no branch 'energyTruth'" in faults[1]["cause"]
    assert (faults[1]["tree"], faults[1]["start"], faults[1]["stop"]) == ("tree", 0, 20)


def test_the_default_names_all_of_them(data_config, mixed, tmp_path):
    expected = r"(?s)3 problems in 2 input files:.*note.root.*real.root.*energyTruth.*uvwTruth"
    with pytest.raises(DataError, match=expected):
        open_mixed(data_config, mixed, tmp_path, on_bad="error")


def test_files_count_against_the_allowed_share(data_config, mixed, tmp_path):
    # 20 events, and 58 for the file that does not say how many: the mean of the others.
    with pytest.raises(DataError, match=r"78 of 251 events cannot be read, more than data.max_bad_share 0.3 allows"):
        open_mixed(data_config, mixed, tmp_path, max_bad_share=0.3)


def test_without_a_sound_file_there_is_nothing_to_train_on(data_config, mixed, tmp_path):
    paths = {"train_path": str(mixed / "note.root"), "val_path": str(mixed / "note.root")}
    with pytest.raises(DataError, match=r"not one of 1 files can be read. The last one: .*note.root"):
        open_mixed(data_config, mixed, tmp_path, **paths)


def test_a_file_whose_selection_cannot_be_decided_is_left_out(data_config, root_folder, tmp_path):
    from lib.data.trees.schema import BranchPlan, check_files

    folder = tmp_path / "data"
    shutil.copytree(root_folder, folder)
    layout = check_files([folder / "part_1.root"], BranchPlan("tree", "npho", "time"))[0].layout
    change_bytes(folder / "part_1.root", int(layout.branches["energyTruth"].seeks[0]), b"\xff" * 4)
    stream = open_mixed(data_config, folder, tmp_path, cut="energyTruth < 100")
    assert event_numbers(list(stream.epoch(0))) == [*range(90), *range(140, 173)]
    assert [row.quarantined for row in stream.ledger()] == [0, 50, 0]


def test_a_report_that_cannot_be_written_is_a_warning(data_config, mixed, tmp_path, caplog):
    (tmp_path / "file").touch()
    stream = open_mixed(data_config, mixed, tmp_path, quarantine_report=str(tmp_path / "file" / "bad.jsonl"))
    assert len(event_numbers(list(stream.epoch(0)))) == 173
    assert "set data.quarantine_report" in caplog.text
