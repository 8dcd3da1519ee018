"""Watching the validation of a regressor."""

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
    assert metrics["val_resolution_deg"] == pytest.approx(3.0, rel=1e-3)
    # Distributions know a value to a thousandth.
    assert metrics["uvw_dist_68pct"] == pytest.approx(1.3, rel=1e-3)
    assert [metrics[f"{axis}_res_68pct"] for axis in "uvw"] == pytest.approx([0.3, 0.4, 1.2], rel=1e-3)
    # 68 % of a Gaussian lie within 0.994 sigma; 750 events know it to 4 %, and three of those are allowed.
    assert metrics["energy_res_68pct"] == pytest.approx(0.000994, rel=0.12)
    assert metrics["timing_res_68pct"] == pytest.approx(0.994e-10, rel=0.12)


def test_each_validation_begins_anew(observer: ResolutionObserver) -> None:
    assert observer.validation_end(0)
    assert observer.validation_end(1) == {}


def test_learnt_errors_are_judged_and_classes_counted() -> None:
    tasks = TasksConfig.model_validate({"uvwFI": {"loss_fn": "gaussian_nll"}, "n_gamma": {}, "angleVec": {}})
    observer = ResolutionObserver(enabled_targets(tasks))
    generator = torch.Generator().manual_seed(1)
    residual = torch.randn(SIZE, 3, generator=generator) * torch.tensor([0.2, 0.3, 0.4])
    vector = torch.tensor([[-1.0, 0.0, 0.0]]).repeat(SIZE, 1)
    batch = EventBatch(
        x=torch.empty(SIZE, 0), valid=torch.empty(SIZE, 0),
        truth={"uvwTruth": torch.zeros(SIZE, 3), "nGamma": torch.ones(SIZE, 1), "emiVec": vector},
        run=torch.zeros(SIZE), event=torch.arange(SIZE), weight=torch.ones(SIZE), seed=0,
    )  # fmt: skip
    outputs = {
        "uvwFI": residual, "uvwFI_sigma": torch.tensor([[0.2, 0.3, 0.2]]).repeat(SIZE, 1),
        "n_gamma": torch.eye(5)[torch.arange(SIZE) % 2], "angleVec": vector,
    }  # fmt: skip
    observer.validation_batch(batch, StepOutput(torch.zeros(()), {}, outputs))
    metrics = observer.validation_end(0)
    # 400 events know a ratio to 5 %.
    assert metrics["uvwFI_u_calibration"] == pytest.approx(1.0, abs=0.15)
    assert metrics["uvwFI_w_calibration"] == pytest.approx(2.0, abs=0.3)
    assert metrics["n_gamma_accuracy"] == 0.5
    assert metrics["angleVec_res_68pct"] == 0.0
