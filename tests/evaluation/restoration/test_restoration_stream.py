"""Files of restored sensors: every hidden sensor once, whole or not at all, with flat memory."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import uproot
from torch import Tensor

from lib.data.batch import EventBatch
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.evaluation.restoration.restoration_stream import RestorationStream
from lib.evaluation.restoration.restored_rows import ROWS_PER_BASKET, RowsDescription, RowsWriter, rows_file
from lib.geometry.sensors import nominal_sensors
from lib.training.protocol import StepOutput

NORMALIZATION = Normalization.from_config(NormalizationConfig())
ABOUT = RowsDescription(NORMALIZATION, 2, "block", 0, "f" * 64)


def events(errors: bool = False) -> tuple[EventBatch, StepOutput]:
    draw = torch.Generator().manual_seed(0)
    npho, time = 3000 * torch.rand(3, 4760, generator=draw) + 200, 1e-7 * torch.rand(3, 4760, generator=draw)
    time[:, ::5] = 1e10
    x, valid = NORMALIZATION.apply(npho, time)
    batch = EventBatch(
        x, valid, {}, torch.tensor([7, 7, 8]), torch.tensor([1, 2, 3]), torch.tensor([1.0, 1.0, 0.0]), seed=0
    )
    outputs: dict[str, Tensor] = {"prediction": x + 0.01, "hidden": torch.rand(3, 4760, generator=draw) < 0.05}
    if errors:
        outputs["error"] = torch.full((3, 4760, 2), 0.02)
    return batch, StepOutput(torch.zeros(()), {}, outputs)


def stream(folder: Path, *, interval: int = 1, done: int = 0) -> RestorationStream:
    made = RestorationStream("inpainter", ABOUT, ["neighbours"], is_due=lambda epoch: epoch % interval == 0)
    made.begin(folder, lambda: done)
    return made


def test_rows_hold_each_hidden_sensor_of_real_events_once(tmp_path: Path) -> None:
    batch, output = events(errors=True)
    writing = stream(tmp_path, done=4)
    writing.validation_batch(batch, output)
    assert not list(tmp_path.glob("inpainter*"))
    assert writing.validation_end(4) == {}
    with uproot.open(tmp_path / "inpainter_predictions_epoch_5.root") as file:
        rows = file["tree"].arrays(library="np")
        about, facts = json.loads(file["description"]), file["metadata"].arrays(library="np")
    hidden = output.outputs["hidden"][:2].nonzero().numpy()
    np.testing.assert_array_equal(rows["sensor"], hidden[:, 1])
    np.testing.assert_array_equal(rows["event"], batch.event.numpy()[hidden[:, 0]])
    np.testing.assert_array_equal(rows["run"], 7)
    np.testing.assert_array_equal(rows["face"], nominal_sensors().face_codes[hidden[:, 1]])
    timed = rows["time_truth"] < 1
    np.testing.assert_allclose(rows["time_error"][timed], 0.01 * NORMALIZATION.time_scale, rtol=1e-2)
    np.testing.assert_allclose(rows["time_sigma"], 0.02 * NORMALIZATION.time_scale, rtol=1e-2)
    np.testing.assert_allclose(rows["npho_pred"] - rows["npho_truth"], rows["npho_error"], rtol=1e-4, atol=1e-3)
    assert (rows["time_truth"][rows["sensor"] % 5 == 0] == np.float32(1e10)).all()
    assert (rows["npho_neighbours"] > 0).all()
    assert about["epoch"] == facts["epoch"][0] == 5
    assert about["mask_kinds"][rows["mask_kind"][0]] == "block"
    assert facts["npho_scale"][0] == NORMALIZATION.npho_scale


def test_epochs_between_are_not_written(tmp_path: Path) -> None:
    for done in (0, 1, 2):
        writing = stream(tmp_path, interval=2, done=done)
        writing.validation_batch(*events())
        writing.validation_end(done)
    assert [path.name for path in tmp_path.iterdir()] == ["inpainter_predictions_epoch_2.root"]


def test_a_validation_that_is_left_leaves_no_file(tmp_path: Path) -> None:
    writing = stream(tmp_path)
    writing.validation_batch(*events())
    writing.abandon()
    assert not list(tmp_path.iterdir())


def test_a_disk_that_refuses_costs_the_predictions_alone(tmp_path: Path, monkeypatch, caplog) -> None:
    def refuse(self: RowsWriter, columns: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(RowsWriter, "write", refuse)
    writing = stream(tmp_path)
    for _ in range(2):
        writing.validation_batch(*events())
    assert writing.validation_end(0) == {}
    assert caplog.text.count("could not be written (no space left)") == 1
    assert not list(tmp_path.iterdir())


def test_no_more_rows_than_a_basket_are_held_back(tmp_path: Path) -> None:
    columns = {"run": np.zeros(70_000, dtype=np.int64), "npho_pred": np.zeros(70_000, dtype=np.float32)}
    with rows_file(tmp_path / "rows.root", replace(ABOUT, epoch=1)) as writer:
        most = 0
        for _ in range(10):
            writer.write(columns)
            most = max(most, writer.num_waiting)
    assert most < ROWS_PER_BASKET
    with uproot.open(tmp_path / "rows.root") as file:
        assert file["tree"].num_entries == 700_000


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_that_is_not_finished_gets_no_name(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), rows_file(tmp_path / "rows.root", ABOUT):
        raise error
    assert not list(tmp_path.iterdir())
