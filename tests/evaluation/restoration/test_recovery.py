"""Restorers and the files that they write: dead channels change, others do not."""

from pathlib import Path

import numpy as np
import pytest
import torch
import uproot

from lib.baselines.dead_channels import restore_dead_channels
from lib.data.branches import NO_VALUE
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.errors import DataError
from lib.evaluation.drawing.event_display import DisplayedEvent
from lib.evaluation.restoration.recovery import recover_file
from lib.evaluation.restoration.restoration_display import RestoredEvent, draw_restoration
from lib.evaluation.restoration.restorer import ConventionalRestorer, ModelRestorer
from lib.models.config import InpainterModelConfig
from lib.models.inpainter import Inpainter

TINY = {
    "stage_dims": (4,),
    "stage_depths": (1,),
    "inner_patch": 4,
    "encoder_dim": 8,
    "num_heads": 2,
    "dim_feedforward": 8,
    "num_fusion_layers": 1,
    "hidden_dim": 4,
    "head_depth": 1,
}


@pytest.fixture
def readings() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    npho = rng.exponential(400.0, (3, 4760)).astype(np.float32)
    npho[:, 5] = NO_VALUE
    return npho, rng.normal(1e-8, 1e-9, (3, 4760)).astype(np.float32)


@pytest.mark.parametrize("predicted", ["npho", "npho+time"])
def test_a_model_restores_the_dead_and_leaves_the_others(readings, predicted: str) -> None:
    npho, time = readings
    model = Inpainter(
        InpainterModelConfig.model_validate(TINY | {"predict_channels": predicted}),
        normalization := Normalization.from_config(NormalizationConfig()),
    ).eval()
    restorer = ModelRestorer(model, normalization, torch.device("cpu"))
    dead = np.zeros((3, 4760), dtype=bool)
    dead[0, 5] = dead[1:, 4000:4010] = True
    restored = restorer.restore(npho, time, dead)
    np.testing.assert_array_equal(restored.npho[~dead], npho[~dead])
    np.testing.assert_array_equal(restored.time[~dead], time[~dead])
    assert (np.abs(restored.npho[dead]) < 1e5).all()
    assert ((restored.time[dead] < 1) == (predicted == "npho+time")).all()


def test_a_file_is_copied_with_its_dead_channels_restored_and_flagged(tmp_path: Path, readings) -> None:
    npho, time = readings
    branch = np.zeros((3, 4760), dtype=np.float32)
    branch[1, 7] = 1.0
    with uproot.recreate(tmp_path / "a.root") as file:
        file["tree"] = {"npho": npho, "time": time, "dead": branch, "run": np.full(3, 9), "event": np.arange(3)}
    listed = np.zeros(4760, dtype=bool)
    listed[4500] = True
    output = tmp_path / "out" / "a.root"
    restorer = ConventionalRestorer("neighbours")
    report = recover_file(tmp_path / "a.root", output, restorer, dead=listed, tree_name="tree")
    expected = np.zeros((3, 4760), dtype=bool)
    expected[:, [5, 4500]] = expected[1, 7] = True
    with uproot.open(output) as file:
        rows = file["tree"].arrays(library="np")
    np.testing.assert_array_equal(rows["dead"] > 0, expected)
    np.testing.assert_array_equal(rows["event"], np.arange(3))
    restored = restore_dead_channels(npho, time, expected, "neighbours")
    np.testing.assert_allclose(rows["npho"], restored.npho, rtol=1e-6)
    np.testing.assert_allclose(rows["time"], restored.time, rtol=1e-6)
    assert (report.num_events, report.mean_dead) == (3, pytest.approx(7 / 3))


def test_a_file_is_never_overwritten_by_its_copy(tmp_path: Path, readings) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file["tree"] = {"npho": readings[0], "time": readings[1], "run": np.full(3, 9), "event": np.arange(3)}
    with pytest.raises(DataError, match="would be overwritten"):
        recover_file(path, path, ConventionalRestorer("neighbours"), dead=None, tree_name="tree")


def test_the_display_shows_hidden_sensors_as_missing_and_how_far_off_they_are(readings) -> None:
    npho, time = readings
    hidden = np.zeros(4760, dtype=bool)
    hidden[[11, 4600]] = True
    shown = RestoredEvent(DisplayedEvent(npho[0], time[0], 1, 2), hidden, npho[0] + 10.0)
    assert np.isfinite(shown.pulls).sum() == 2
    assert (shown.pulls[hidden] > 0).all()
    titles = [axes.get_title() for axes in draw_restoration(shown).axes if axes.get_title()]
    assert titles[:2] == ["measured: 1 sensors missing", "visible: 3 sensors missing"]
    assert titles[3] == "restored minus measured: 2 hidden sensors"
