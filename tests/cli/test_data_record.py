"""What a run notes about its events."""

import errno
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib.cli import data_record
from lib.cli.data_record import LEDGER_NAME, DataRecord
from lib.data.choice.quarantine import LedgerRow
from lib.data.npho_count import NphoCount


def stream(count: NphoCount | None = None, bad: int = 0) -> Any:
    return SimpleNamespace(ledger=lambda: [LedgerRow("a.root", 10, 9 - bad, 1, bad)], npho_count=lambda: count)


def test_the_ledger_names_each_file_of_each_split(tmp_path: Path) -> None:
    record = DataRecord({"train": stream(bad=2), "val": stream()}, tmp_path)
    assert record.write_ledger() == tmp_path / LEDGER_NAME
    assert (tmp_path / LEDGER_NAME).read_text().splitlines() == [
        "split,path,read,used,cut,quarantined",
        "train,a.root,10,7,1,2",
        "val,a.root,10,9,1,0",
    ]


def test_a_ledger_that_stays_the_same_is_not_written_again(tmp_path: Path) -> None:
    record = DataRecord({"train": stream()}, tmp_path)
    record.write_ledger()
    (tmp_path / LEDGER_NAME).unlink()
    record.write_ledger()
    assert not (tmp_path / LEDGER_NAME).exists()


def test_a_disk_that_refuses_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    record = DataRecord({"train": stream()}, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(data_record, "atomic_path", refuse)
        assert record.write_ledger() is None
    assert "event_ledger.csv: cannot be written" in caplog.text
    assert record.write_ledger() == tmp_path / LEDGER_NAME


def test_only_streams_that_count_have_metrics(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = DataRecord({"train": stream(NphoCount(10, 1, 2)), "val": stream()}, tmp_path)
    with caplog.at_level(logging.INFO):
        metrics = record.epoch_metrics()
    assert metrics == {"train/npho_invalid_share": 0.1, "train/npho_below_domain_share": 0.2}
    assert "train: 10 % of the photon counts are no value" in caplog.text
