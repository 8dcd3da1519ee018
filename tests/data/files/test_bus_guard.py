import json
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import uproot

from lib.data.config import NormalizationConfig
from lib.data.files import bus_guard
from lib.data.files.file_bytes import LocalBytes
from lib.data.normalization import Normalization
from lib.data.pools import root_stream
from lib.data.stream import open_stream
from lib.data.trees.schema import BranchPlan, check_files
from lib.data.trees.source import iterate_raw
from lib.errors import DataError
from tests.data.root_files import make_events, write_root

NORMALIZATION = Normalization.from_config(NormalizationConfig())
PAGE = mmap.PAGESIZE
STATUS = Path("/proc/self/status")


@pytest.fixture
def mapped(tmp_path):
    """A mapped file of eight pages of ones."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"\1" * 8 * PAGE)
    guarded = LocalBytes(path).map
    if guarded is None:
        pytest.skip("needs a C compiler")
    return path, guarded


def test_what_is_cut_off_becomes_zeros_and_is_told(mapped):
    path, guarded = mapped
    assert int(guarded.content.sum()) == 8 * PAGE
    assert not guarded.lost
    os.truncate(path, 3 * PAGE)
    assert not guarded.lost
    assert int(guarded.content.sum()) == 3 * PAGE
    assert guarded.lost


def resident_file_bytes():
    """Return how much of mapped files this process holds."""
    lines = STATUS.read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux")
def test_pages_that_were_read_are_let_go(tmp_path):
    size = 4000 * PAGE
    (tmp_path / "a.bin").write_bytes(b"\1" * size)
    guarded = LocalBytes(tmp_path / "a.bin").map
    if guarded is None:
        pytest.skip("needs a C compiler")
    assert int(guarded.content.sum()) == size
    held = resident_file_bytes()
    guarded.release_pages()
    assert resident_file_bytes() < held - 0.9 * size
    assert int(guarded.content.sum()) == size
    assert not guarded.lost


def test_a_map_that_is_gone_makes_room_for_others(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x" * PAGE)
    for _ in range(5000):
        guarded = LocalBytes(tmp_path / "a.bin").map
        assert guarded is not None
        assert guarded.content[0] == ord("x")


def test_others_who_listen_are_still_listened_to(tmp_path):
    program = f"""
import faulthandler, mmap, os
from pathlib import Path
from lib.data.files.file_bytes import LocalBytes
faulthandler.enable()
path = Path({str(tmp_path / "b.bin")!r})
path.write_bytes(bytes({PAGE}))
guarded = LocalBytes(path).map
with path.open("rb") as file:
    bare = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
os.truncate(path, 0)
assert guarded.content[5] == 0 and guarded.lost
print("guarded", flush=True)
bare[5]
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("guarded\n", -signal.SIGBUS)
    assert "Fatal Python error: Bus error" in ended.stderr


def test_without_a_compiler_files_are_read_by_calls(mapped, monkeypatch):
    path, _ = mapped
    monkeypatch.setattr(bus_guard, "load_library", lambda source: None)
    assert LocalBytes(path).map is None


@pytest.fixture(params=[True, False], ids=["mapped", "read"])
def config(request, data_config, tmp_path, monkeypatch):
    if not request.param:
        monkeypatch.setattr(bus_guard, "load_library", lambda source: None)
    path = write_root(tmp_path / "a.root", make_events(400), basket=50)

    def make(**settings):
        values = {"train_path": str(path), "val_path": str(path), "quarantine_report": str(tmp_path / "bad.jsonl")}
        return data_config(**{**values, "chunksize": 64, "batch_size": 8, **settings})

    return path, make


def test_a_file_that_is_cut_in_mid_epoch_is_named_with_its_entries(config):
    path, make = config
    stream = open_stream(make(), NORMALIZATION, (), split="validation", seed=1)
    batches = stream.epoch(0)
    next(batches)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DataError, match=r"a.root: branch '\w+'.*, entries \d+ to \d+ cannot be read \(the file"):
        list(batches)


def test_what_was_cut_off_is_quarantined(config, tmp_path):
    path, make = config
    settings = make(on_bad="quarantine", max_bad_share=1.0)
    stream = open_stream(settings, NORMALIZATION, (), split="validation", seed=1)
    batches = stream.epoch(0)
    events = next(batches).event.tolist()
    os.truncate(path, path.stat().st_size // 2)
    events += [number for batch in batches for number in batch.event[batch.weight > 0].tolist()]
    assert events == list(range(len(events)))
    assert 100 <= len(events) < 250
    entries = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert sum(entry["num_events"] for entry in entries) == 400 - len(events)
    assert stream.ledger()[0].used == len(events)


def test_a_file_that_vanishes_is_read_to_its_end(config, monkeypatch):
    monkeypatch.setattr(root_stream, "MAX_POOL_EVENTS", 64)
    path, make = config
    stream = open_stream(make(), NORMALIZATION, (), split="validation", seed=1)
    batches = stream.epoch(0)
    next(batches)
    path.unlink()
    assert sum(batch.num_events for batch in batches) == 392


@pytest.mark.parametrize("codec", [None, uproot.ZSTD(1)], ids=["none", "zstd"])
def test_what_reads_no_maps_names_a_cut_too(tmp_path, codec):
    path, plan = tmp_path / "a.root", BranchPlan("tree", "npho", "time")
    write_root(path, make_events(60), basket=20, compression=codec)
    chunks = iterate_raw(check_files([path], plan), plan, chunk=20, threads=1)
    next(chunks)
    os.truncate(path, 200)
    with pytest.raises(DataError, match=r"a.root: branch '\w+', entries \d+ to \d+ cannot be read \(the file ends at"):
        list(chunks)
