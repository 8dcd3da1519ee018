import json
import shutil

import numpy as np
import pytest
import torch

from lib.data.pools.event_rows import UNREADABLE, RowMemory, as_batches
from lib.data.stream import open_stream
from lib.data.trees.schema import BranchPlan, check_files
from lib.errors import DataError
from tests.data.root_files import change_bytes
from tests.data.test_stream import NORMALIZATION, TRUTH

STREAMS = [{}, {"num_workers": 1}, {"cache": "auto"}]


@pytest.fixture
def damaged(root_folder, tmp_path):
    """Return a function that damages entries 40 to 79 of the first file, or one row of its packed copy."""
    folder = tmp_path / "data"
    shutil.copytree(root_folder, folder)

    def damage() -> None:
        copies = list((tmp_path / "cache").glob("part_0*.packed"))
        if copies:
            change_bytes(copies[0], 50 * 4760 * 4 + 100, b"\x77\x66")
        layout = check_files([folder / "part_0.root"], BranchPlan("tree", "npho", "time"))[0].layout
        change_bytes(folder / "part_0.root", int(layout.branches["time"].seeks[1]), b"\xff" * 4)

    return folder, damage


def open_damaged(data_config, damaged, tmp_path, split="validation", **settings):
    folder, damage = damaged
    paths = {"train_path": str(folder), "val_path": str(folder), "cache_dir": str(tmp_path / "cache")}
    report = {"quarantine_report": str(tmp_path / "reports" / "bad.jsonl"), "on_bad": "quarantine"}
    config = data_config(**{**paths, **report, "max_bad_share": 0.5, **settings})
    stream = open_stream(config, NORMALIZATION, TRUTH, split=split, seed=3)
    damage()
    return stream


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("settings", STREAMS, ids=str)
def test_the_order_of_what_remains_does_not_change(data_config, damaged, tmp_path, settings, split):
    settings = {**settings, "chunksize": 256}
    config = data_config(**{**settings, "cache_dir": str(tmp_path / "other_cache")})
    whole = open_stream(config, NORMALIZATION, TRUTH, split=split, seed=3)
    stream = open_damaged(data_config, damaged, tmp_path, split, **settings)
    bad = {50} if settings.get("cache") else set(range(40, 80))
    expected_batches = [batch for batch in whole.epoch(1) if set(batch.event.tolist()) - bad]
    # In the order of the files a batch may be lost altogether; it is left out then.
    assert len(expected_batches) == (9 if split == "validation" and len(bad) > 1 else whole.batches_per_epoch)
    for expected, batch in zip(expected_batches, stream.epoch(1), strict=True):
        left_out = torch.tensor([number in bad for number in expected.event.tolist()]) & (expected.weight > 0)
        assert torch.equal(batch.weight, torch.where(left_out, 0.0, expected.weight))
        kept = batch.weight > 0
        assert torch.equal(batch.x[kept], expected.x[kept])
        assert torch.equal(batch.event[kept], expected.event[kept])
        # What is left out is filled up with an event that is good in every respect.
        assert torch.equal(batch.x[~kept], batch.x[kept][:1].expand_as(batch.x[~kept]))


@pytest.mark.parametrize("settings", [{}, {"cache": "auto"}], ids=str)
def test_a_report_and_the_ledger_tell_what_was_left_out(data_config, damaged, tmp_path, settings):
    stream = open_damaged(data_config, damaged, tmp_path, cut="event < 160", **settings)
    for epoch in (0, 0):
        list(stream.epoch(epoch))
    (entry,) = [json.loads(line) for line in (tmp_path / "reports" / "bad.jsonl").read_text().splitlines()]
    count = 1 if settings else 40
    assert (entry["num_events"], entry["stop"] - entry["start"]) == (count, count)
    assert "part_0.root" in entry["path"]
    assert "part_0.root" in entry["cause"]
    ledger = stream.ledger()
    assert [(row.read, row.used, row.cut, row.quarantined) for row in ledger] == [
        (90, 90 - count, 0, count),
        (50, 50, 0, 0),
        (33, 20, 13, 0),
    ]


def test_more_than_the_allowed_share_is_an_error(data_config, damaged, tmp_path):
    stream = open_damaged(data_config, damaged, tmp_path, max_bad_share=0.2)
    with pytest.raises(DataError, match=r"(?s)40 of 173 events cannot be read, .* 0.2 allows; .*bad.jsonl.*part_0"):
        list(stream.epoch(0))


def test_a_training_batch_without_a_readable_event_is_an_error():
    rows = RowMemory(3, ()).lend()
    rows.weight.fill_(UNREADABLE)
    with pytest.raises(DataError, match="not one event of a batch can be read"):
        next(as_batches(rows, 2, seed=0, training=True))
    assert not list(as_batches(rows, 2, seed=0, training=False))


def test_the_default_is_an_error_by_name(data_config, damaged, tmp_path):
    stream = open_damaged(data_config, damaged, tmp_path, on_bad="error")
    with pytest.raises(DataError, match=r"part_0.root: tree 'tree', branch 'time', entries 40 to 79 cannot be read"):
        list(stream.epoch(0))
    assert not (tmp_path / "reports").exists()
    assert np.sum([row.quarantined for row in stream.ledger()]) == 0
