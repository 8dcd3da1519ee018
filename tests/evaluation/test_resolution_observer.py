"""Watching the validation of a regressor."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.data.batch import EventBatch
from lib.evaluation.resolution_observer import ResolutionObserver
from lib.tasks.config import TaskConfig, TasksConfig
from lib.tasks.targets import enabled_targets
from lib.training.protocol import StepOutput

ALL = TasksConfig(angle=TaskConfig(), energy=TaskConfig(), timing=TaskConfig(), uvwFI=TaskConfig())
SIZE = 400


@pytest.fixture
def observer() -> ResolutionObserver:
    """Has seen two batches: predictions off by known amounts; the second batch ends with padding that is far off."""
    torch.manual_seed(0)
    observer = ResolutionObserver(enabled_targets(ALL))
    for number in range(2):
        truth = {
            "emiAng": torch.tensor([[90.0, 0.0]]).repeat(SIZE, 1),
            "energyTruth": torch.full((SIZE, 1), 0.05),
            "timeTruth": torch.zeros(SIZE, 1),
            "uvwTruth": torch.zeros(SIZE, 3),
        }
        weight = torch.ones(SIZE)
        outputs = {
            "angle": truth["emiAng"] + torch.tensor([3.0, 0.0]),
            "energy": truth["energyTruth"] + 0.001 * torch.randn(SIZE, 1),
            "timing": truth["timeTruth"] + 1e-10 * torch.randn(SIZE, 1),
            "uvwFI": truth["uvwTruth"] + torch.tensor([0.3, 0.4, 1.2]),
        }
        if number == 1:
            weight[-50:] = 0.0
            for values in outputs.values():
                values[-50:] += 1e3
        batch = EventBatch(
            x=torch.empty(SIZE, 0), valid=torch.empty(SIZE, 0), truth=truth,
            run=torch.full((SIZE,), 7), event=torch.arange(SIZE) + number * SIZE, weight=weight, seed=0,
        )  # fmt: skip
        observer.validation_batch(batch, StepOutput(torch.zeros(()), {}, outputs))
    return observer


def test_metrics_are_68_percentiles_without_the_padding(observer: ResolutionObserver) -> None:
    metrics = observer.validation_end(0)
    assert metrics["val_resolution_deg"] == pytest.approx(3.0, abs=1e-4)
    assert metrics["uvw_dist_68pct"] == pytest.approx(1.3, rel=1e-5)
    assert [metrics[f"{axis}_res_68pct"] for axis in "uvw"] == pytest.approx([0.3, 0.4, 1.2], rel=1e-5)
    # 68 % of a Gaussian lie within 0.994 sigma; 750 events know it to 4 %, and three of those are allowed.
    assert metrics["energy_res_68pct"] == pytest.approx(0.000994, rel=0.12)
    assert metrics["timing_res_68pct"] == pytest.approx(0.994e-10, rel=0.12)


def test_each_validation_begins_anew(observer: ResolutionObserver) -> None:
    observer.validation_end(0)
    with pytest.raises(IndexError):
        observer.validation_end(1)


def test_every_target_gets_its_table_and_its_figure(observer: ResolutionObserver, tmp_path: Path) -> None:
    observer.validation_end(0)
    names = {path.name for path in observer.write(tmp_path, "r")}
    tasks = ("angle", "energy", "timing", "uvwFI")
    assert names == {f"predictions_{task}_r.csv" for task in tasks} | {f"resolution_{task}_r.pdf" for task in tasks}
    assert names == {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "resolution_energy_r.pdf").read_bytes().startswith(b"%PDF")


def test_the_table_holds_one_line_per_event(observer: ResolutionObserver, tmp_path: Path) -> None:
    observer.validation_end(0)
    observer.write(tmp_path, "r")
    with (tmp_path / "predictions_uvwFI_r.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["run", "event", "true_u", "true_v", "true_w", "pred_u", "pred_v", "pred_w"]
    assert [int(row["event"]) for row in rows] == list(range(2 * SIZE - 50))
    np.testing.assert_allclose([float(row["pred_w"]) for row in rows], 1.2, rtol=1e-6)
