"""Whatever the disk refuses while a file is written, its readers see the old content or the new one, whole."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import uproot

from lib.cli.data_record import LEDGER_NAME, DataRecord
from lib.data.choice.quarantine import LedgerRow
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.packed.cache import open_cached
from lib.data.packed.cache_settings import CacheSettings
from lib.data.packed.packing import pack_files
from lib.data.trees.schema import BranchPlan, check_files
from lib.errors import DataError
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.prediction_writer import prediction_file
from lib.training.records.journal import JOURNAL_NAME, Journal, read_journal
from lib.training.records.run_identity import RunIdentity, load_identity, save_identity
from lib.training.saving.sealed_file import read_sealed, write_sealed
from tests.data.root_files import make_events, write_root
from tests.training.saving.test_disk_faults import full_disk

ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS]
# Ends of the disk, in bytes of the file that is written.
SIZES = [0, 1, 100, 500, 1000, 3000, 10_000, 100_000]
METADATA = ModelMetadata(
    "regressor", ("npho", "time"), (OutputDescription("energy", ("energy",), "GeV", "energyTruth"),),
    "tree", "npho", "time", {}, "", "", "", {},
)  # fmt: skip
PLAN = BranchPlan("tree", "npho", "time")


class Output(NamedTuple):
    """How one kind of file is written and read.

    Attributes:
        write: Writes the content of a version to a folder.
        read: Returns the version whose whole content is there; None without a file, fails on anything else.
    """

    write: Callable[[Path, int], object]
    read: Callable[[Path], int | None]


def write_journal(folder: Path, version: int) -> None:
    Journal(folder).append(version, {f"metric_{index}": float(version) for index in range(40)})


def read_newest(folder: Path) -> int | None:
    records = read_journal(folder / JOURNAL_NAME)
    for record in records:
        assert record.metrics == {f"metric_{index}": float(record.step) for index in range(40)}
    return records[-1].step if records else None


def write_identity(folder: Path, version: int) -> None:
    save_identity(folder, RunIdentity("e", "r", str(version), {f"p{index}": "1" for index in range(60)}, {}), "RUNNING")


def read_identity(folder: Path) -> int | None:
    if not (folder / "run.json").exists():
        return None
    identity, _ = load_identity(folder)
    assert len(identity.parameters) == 60
    return int(identity.key)


def write_checkpoint(folder: Path, version: int) -> None:
    write_sealed(folder / "a.pth", {"weights": torch.full((3000,), float(version))})


def read_checkpoint(folder: Path) -> int | None:
    if not (folder / "a.pth").exists():
        return None
    weights: Any = read_sealed(folder / "a.pth")["weights"]
    assert (weights == weights[0]).all()
    return int(weights[0])


def write_predictions(folder: Path, version: int) -> None:
    with prediction_file(folder / "p.root", METADATA) as writer:
        energy = np.full((3000, 1), version, dtype=np.float32)
        writer.write(np.zeros(3000, dtype=np.int64), np.arange(3000), {"energy": energy})


def read_predictions(folder: Path) -> int | None:
    if not (folder / "p.root").exists():
        return None
    with uproot.open(folder / "p.root") as file:
        energy = file["tree"]["pred_energy"].array(library="np")
    assert len(energy) == 3000
    assert (energy == energy[0]).all()
    return int(energy[0])


def write_ledger(folder: Path, version: int) -> None:
    rows = [LedgerRow(f"{index}.root", version, version, 0, 0) for index in range(30)]
    stream: Any = SimpleNamespace(ledger=lambda: rows)
    DataRecord({"train": stream}, folder).write_ledger()


def read_ledger(folder: Path) -> int | None:
    if not (folder / LEDGER_NAME).exists():
        return None
    rows = (folder / LEDGER_NAME).read_text().splitlines()[1:]
    version = int(rows[0].split(",")[2])
    assert rows == [f"train,{index}.root,{version},{version},0,0" for index in range(30)]
    return version


def settings_of(folder: Path) -> CacheSettings:
    return CacheSettings(folder / "cache", PLAN, Normalization.from_config(NormalizationConfig()))


def write_cache(folder: Path, version: int) -> None:
    """Each version packs a file of its own: an older state of one file is refused by its manifest anyway."""
    path = folder / "sources" / f"{version}.root"
    list(pack_files(check_files([path], PLAN), settings_of(folder)))


def read_cache(folder: Path) -> int | None:
    newest = None
    for path in sorted((folder / "sources").iterdir()):
        try:
            packed = open_cached(check_files([path], PLAN)[0], settings_of(folder))
        except DataError as error:
            assert "not in the cache" in str(error)
            continue
        newest = int(path.stem)
        np.testing.assert_array_equal(packed.event, make_events(5, run=newest)["event"])
        assert set(packed.run) == {newest}
    return newest


OUTPUTS = {
    "journal": Output(write_journal, read_newest),
    "identity": Output(write_identity, read_identity),
    "checkpoint": Output(write_checkpoint, read_checkpoint),
    "predictions": Output(write_predictions, read_predictions),
    "ledger": Output(write_ledger, read_ledger),
    "cache": Output(write_cache, read_cache),
}


@contextmanager
def failing_call(owner: Any, name: str, number: int, error: int) -> Iterator[list[int]]:
    """Let one call of a function fail, counted from 0; yields how many calls there were."""
    call, calls = getattr(owner, name), [0]

    def count(*arguments: Any, **keywords: Any) -> Any:
        calls[0] += 1
        if calls[0] == number + 1:
            raise OSError(error, os.strerror(error))
        return call(*arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, count)
        yield calls


def attempt(output: Output, folder: Path, version: int) -> None:
    """Write a version; what is raised is what the disk said, or says so."""
    try:
        output.write(folder, version)
    except (OSError, DataError) as error:
        assert isinstance(error, OSError) or "cannot be written" in str(error) or "errno" in str(error).lower()


def prepared(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir()
    for version in (1, 2):
        write_root(tmp_path / "sources" / f"{version}.root", make_events(5, run=version))
    return tmp_path


def assert_whole_and_mendable(output: Output, folder: Path) -> None:
    assert output.read(folder) in {1, 2}
    output.write(folder, 2)
    assert output.read(folder) == 2
    assert not list(folder.rglob("*.partial*"))


def start_over(folder: Path, output: Output) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "sources":
            path.unlink()
    output.write(folder, 1)


@pytest.mark.parametrize("error", ERRORS, ids=[errno.errorcode[error] for error in ERRORS])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_readers_see_old_or_new_whichever_call_the_disk_refuses(tmp_path: Path, kind: str, error: int) -> None:
    """Every fsync and every rename in turn."""
    output, folder, refused = OUTPUTS[kind], prepared(tmp_path), 0
    for owner, name in ((os, "fsync"), (Path, "replace")):
        number, reached = 0, True
        while reached:
            start_over(folder, output)
            with failing_call(owner, name, number, error) as calls:
                attempt(output, folder, 2)
            reached = calls[0] > number
            refused += reached
            assert_whole_and_mendable(output, folder)
            number += 1
    # A journal is appended to, all others are renamed and so are their folders' entries flushed.
    assert refused >= (1 if kind == "journal" else 3)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_readers_see_old_or_new_wherever_the_disk_is_full(tmp_path: Path, kind: str) -> None:
    output, folder = OUTPUTS[kind], prepared(tmp_path)
    for size in SIZES:
        start_over(folder, output)
        with full_disk(size):
            attempt(output, folder, 2)
        assert_whole_and_mendable(output, folder)
