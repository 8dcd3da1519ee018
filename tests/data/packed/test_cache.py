import logging
import multiprocessing
import os
import time

import numpy as np
import pytest
import torch

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.packed.cache import build_cache, cached_files, find_faults, open_cached
from lib.data.packed.cache_scan import scan_cache
from lib.data.packed.cache_settings import CacheSettings
from lib.data.packed.packed_file import Manifest, manifest_of
from lib.data.packed.packed_kernel import PackedSet, packed_kernel
from lib.data.pools.event_rows import RowMemory
from lib.data.trees.basket_reader import BasketReader
from lib.data.trees.schema import BranchPlan, check_files
from lib.errors import DataError
from tests.data.root_files import change_bytes, make_events, write_root

NORMALIZATION = Normalization.from_config(NormalizationConfig())
PLAN = BranchPlan("tree", "npho", "time")


@pytest.fixture
def settings(tmp_path):
    return CacheSettings(tmp_path / "cache", PLAN, NORMALIZATION)


@pytest.fixture
def paths(tmp_path):
    return [write_root(tmp_path / f"{i}.root", make_events(count, run=i)) for i, count in enumerate((300, 7))]


def test_packed_events_are_those_of_the_file(settings, paths):
    for index, packed in enumerate(cached_files(check_files(paths, PLAN), settings, build=True)):
        events = make_events((300, 7)[index], run=index)
        count = len(events["npho"])
        x, valid = NORMALIZATION.apply(torch.from_numpy(events["npho"]), torch.from_numpy(events["time"]))
        rows, everything = RowMemory(count, ()).lend(), np.arange(count)
        packed_kernel((-1.0, -1.0), compiled=True).unpack(PackedSet([packed.rows]), everything, everything, rows)
        assert torch.equal(rows.valid, valid)
        # Half a step of a range of about 2.
        assert torch.allclose(rows.x, x, atol=2e-5)
        assert np.array_equal(packed.run, events["run"])
        assert np.array_equal(packed.event, events["event"])
        assert np.array_equal(packed.truth["uvwTruth"], events["uvwTruth"])
        assert np.array_equal(packed.truth["energyTruth"][:, 0], events["energyTruth"])


def test_a_manifest_says_what_a_packed_file_was_made_from(settings, paths):
    import hashlib

    files = check_files(paths, PLAN)
    build_cache(files, settings)
    manifest = Manifest.read(manifest_of(settings.place(files[1])))
    assert manifest.source == str(paths[1])
    assert manifest.source_sha256 == hashlib.sha256(paths[1].read_bytes()).hexdigest()
    assert manifest.normalization == NORMALIZATION.fingerprint()
    assert manifest.num_events == 7


def test_only_what_is_missing_or_stale_is_built(settings, paths):
    assert build_cache(check_files(paths, PLAN), settings) == 2
    assert build_cache(check_files(paths, PLAN), settings) == 0
    write_root(paths[1], make_events(9))
    files = check_files(paths, PLAN)
    assert "changed since it was packed" in find_faults(files, settings)[paths[1]]
    assert build_cache(files, settings) == 1
    assert len(open_cached(files[1], settings).event) == 9


def test_another_normalization_has_packed_files_of_its_own(settings, paths):
    files = check_files(paths, PLAN)
    build_cache(files, settings)
    other = Normalization.from_config(NormalizationConfig(npho_scale=500.0))
    assert len(find_faults(files, CacheSettings(settings.folder, PLAN, other))) == 2


def test_what_may_not_be_built_is_refused_with_the_reasons(settings, paths):
    with pytest.raises(DataError, match=r"(?s)2 of 2 files cannot .*0.root: not in the cache .*build_cache.py"):
        cached_files(check_files(paths, PLAN), settings, build=False)


def damage(place, kind: str) -> None:
    if kind == "short":
        place.write_bytes(place.read_bytes()[:-1])
    if kind == "tail":
        change_bytes(place, place.stat().st_size - 3, b"\x55")
    if kind == "gone":
        place.unlink()
    if kind == "manifest":
        manifest_of(place).write_text("{}")
    if kind == "version":
        manifest_of(place).write_text(manifest_of(place).read_text().replace('"version": 1', '"version": 0'))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("short", "bytes where .* are expected"),
        ("tail", "is damaged; its hash differs"),
        ("gone", "0 bytes where"),
        ("manifest", "no manifest of a packed file"),
        ("version", "packed in form 0, expected 1"),
    ],
)
def test_damaged_packed_files_are_never_trusted(settings, paths, kind, message):
    files = check_files(paths[1:], PLAN)
    build_cache(files, settings)
    damage(settings.place(files[0]), kind)
    with pytest.raises(DataError, match=message):
        open_cached(files[0], settings)
    (entry,) = [entry for entry in scan_cache(settings.folder, verify=False) if entry.fault]
    assert entry.state == "damaged"
    assert build_cache(files, settings) == 1
    assert len(open_cached(files[0], settings).event) == 7


def test_a_file_that_changes_while_it_is_packed_leaves_no_manifest(settings, paths, monkeypatch):
    files = check_files(paths[1:], PLAN)
    original = BasketReader.close

    def close(self):
        original(self)
        os.utime(paths[1], ns=(1, 1))

    monkeypatch.setattr(BasketReader, "close", close)
    with pytest.raises(DataError, match="the file changed while it was in use"):
        build_cache(files, settings)
    assert "not in the cache" in find_faults(files, settings)[paths[1]]


def hold_lock(folder, ready) -> None:
    import fcntl

    folder.mkdir()
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ready.set()
        time.sleep(0.3)


def test_building_waits_for_another_process(settings, paths, caplog):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=hold_lock, args=(settings.folder, ready))
    other.start()
    assert ready.wait(60)
    with caplog.at_level(logging.INFO):
        assert build_cache(check_files(paths[1:], PLAN), settings) == 1
    other.join()
    assert "waiting for another process" in caplog.text


def test_a_scan_tells_every_state(settings, paths, tmp_path):
    (tmp_path / "gone").mkdir()
    more = [write_root(tmp_path / "gone" / f"{i}.root", make_events(5)) for i in range(4)]
    files = check_files([*paths, *more], PLAN)
    build_cache(files, settings)
    more[0].unlink()
    write_root(more[1], make_events(6))
    change_bytes(settings.place(files[4]), 5000, b"\1\2\3")
    change_bytes(more[3], 3000, b"\1\2\3")
    (settings.folder / "left.packed").write_bytes(b"123")
    quick, thorough = (
        {(e.source or e.place): e for e in scan_cache(settings.folder, verify=flag)} for flag in (False, True)
    )
    states = [quick[str(path)].state for path in (*paths, *more)]
    assert states == ["current", "current", "stale", "stale", "current", "current"]
    states = [thorough[str(path)].state for path in (*paths, *more)]
    assert states == ["current", "current", "stale", "stale", "damaged", "stale"]
    assert "1 of 5 rows differ" in thorough[str(more[2])].fault
    assert "same size and time" in thorough[str(more[3])].fault
    assert quick[str(settings.folder / "left.packed")].state == "partial"
    assert quick[str(paths[0])].num_events == 300
    rows = [thorough[str(path)].ledger for path in (paths[0], *more)]
    assert [(row.read, row.used, row.quarantined) for row in rows] == [
        (300, 300, 0),
        (5, 0, 5),
        (5, 0, 5),
        (5, 4, 1),
        (5, 0, 5),
    ]


def test_a_cache_that_is_not_there_cannot_be_scanned(tmp_path):
    with pytest.raises(DataError, match=r"none: no such folder. Build the cache"):
        scan_cache(tmp_path / "none", verify=False)
