"""The file of predictions must hold every event in order, and appear whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.errors import DataError
from lib.export import prediction_writer
from lib.export.metadata import ModelMetadata
from lib.export.prediction_writer import prediction_file


def batch(first: int, count: int) -> dict[str, np.ndarray]:
    energy = np.arange(first, first + count, dtype=np.float32)[:, None]
    return {"energy": energy, "uvwFI": np.hstack([energy, 2 * energy, 3 * energy])}


def write(path: Path, metadata: ModelMetadata, sizes: list[int]) -> None:
    with prediction_file(path, metadata) as writer:
        first = 0
        for size in sizes:
            writer.write(np.full(size, 7), np.arange(first, first + size), batch(first, size))
            first += size


def test_events_are_read_back_in_order(tmp_path: Path, metadata: ModelMetadata) -> None:
    write(tmp_path / "p.root", metadata, [3, 1, 5])
    with uproot.open(tmp_path / "p.root") as file:
        arrays = file["tree"].arrays(library="np")
    np.testing.assert_array_equal(arrays["event"], np.arange(9))
    np.testing.assert_array_equal(arrays["run"], np.full(9, 7))
    np.testing.assert_array_equal(arrays["pred_energy"], np.arange(9))
    np.testing.assert_array_equal(arrays["pred_uvwFI"], np.arange(9)[:, None] * [1, 2, 3])
    assert arrays["run"].dtype == arrays["event"].dtype == np.int64
    assert arrays["pred_energy"].dtype == np.float32


def test_units_and_model_are_in_the_file(tmp_path: Path, metadata: ModelMetadata) -> None:
    write(tmp_path / "p.root", metadata, [1])
    with uproot.open(tmp_path / "p.root") as file:
        assert file["tree"].title == "pred_energy: energy in GeV; pred_uvwFI: u, v, w in cm"
        assert json.loads(str(file["model"]))["config_sha256"] == metadata.config_sha256


def test_small_batches_share_a_basket(tmp_path: Path, metadata: ModelMetadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_writer, "EVENTS_PER_BASKET", 10)
    write(tmp_path / "p.root", metadata, [4] * 8)
    with uproot.open(tmp_path / "p.root") as file:
        assert file["tree/event"].num_baskets == 3
        np.testing.assert_array_equal(file["tree/event"].array(library="np"), np.arange(32))


def test_no_events_give_an_empty_tree(tmp_path: Path, metadata: ModelMetadata) -> None:
    write(tmp_path / "p.root", metadata, [])
    with uproot.open(tmp_path / "p.root") as file:
        assert file["tree"].num_entries == 0


def test_a_failure_leaves_the_old_file_alone(tmp_path: Path, metadata: ModelMetadata) -> None:
    path = tmp_path / "p.root"
    path.write_bytes(b"old")

    def fail() -> None:
        with prediction_file(path, metadata) as writer:
            writer.write(np.zeros(1, np.int64), np.zeros(1, np.int64), batch(0, 1))
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, metadata: ModelMetadata) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"p\.root: cannot be written \(.*exists.*\)\. Choose another --output"):
        write(tmp_path / "file" / "p.root", metadata, [1])
    (tmp_path / "folder.root").mkdir()
    with pytest.raises(DataError, match=r"folder\.root: cannot be written"):
        write(tmp_path / "folder.root", metadata, [1])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.root"]


def test_one_task_makes_one_branch(tmp_path: Path, metadata: ModelMetadata) -> None:
    with prediction_file(tmp_path / "p.root", replace(metadata, outputs=metadata.outputs[:1])) as writer:
        writer.write(np.zeros(2, np.int64), np.arange(2), {"energy": batch(0, 2)["energy"]})
    with uproot.open(tmp_path / "p.root") as file:
        assert file["tree"].keys() == ["run", "event", "pred_energy"]
