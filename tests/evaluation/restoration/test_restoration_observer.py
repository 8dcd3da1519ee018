"""Means over a validation of restored sensors are those of all its events at once."""

import pytest
import torch
from torch import Tensor, nn

from lib.data.batch import EventBatch
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.evaluation.restoration.restoration_observer import RestorationObserver
from lib.geometry.faces import face_sensor_ids
from lib.geometry.sensors import FACE_NAMES
from lib.tasks.restoration import RestorationTask
from lib.tasks.restoration_config import RestorationTrainingConfig

NORMALIZATION = Normalization.from_config(NormalizationConfig())
WEIGHTS = {"npho_weight": 2.0, "time": {"weight": 0.5}}


class Zero(nn.Module):
    """Says nothing else."""

    def forward(self, x: Tensor, valid: Tensor, hidden: Tensor) -> Tensor:
        return torch.zeros_like(x)


def make_batch(seed: int, time_share: float) -> EventBatch:
    draw = torch.Generator().manual_seed(seed)
    npho = 2000 * torch.rand(3, 4760, generator=draw) * (1 + seed) + 200
    time = torch.where(torch.rand(3, 4760, generator=draw) < time_share, 1e-7 * (1 + seed), 1e10)
    x, valid = NORMALIZATION.apply(npho, time)
    numbers = torch.arange(3)
    return EventBatch(x, valid, {}, numbers, numbers, torch.tensor([1.0, 1.0, float(seed)]), seed=seed)


@pytest.fixture(scope="module")
def watched() -> tuple[dict[str, float], list[tuple[EventBatch, Tensor]]]:
    """Metrics, and batches with what was hidden; the second batch has few times, the first a row of padding."""
    settings = RestorationTrainingConfig.model_validate({"loss_fn": "mse"} | WEIGHTS)
    task = RestorationTask(0.3, 2, NORMALIZATION, settings)
    observer = RestorationObserver(task)
    batches = []
    for batch in (make_batch(0, 0.9), make_batch(1, 0.1)):
        output = task.step(Zero().eval(), batch)
        observer.validation_batch(batch, output)
        batches.append((batch, output.outputs["hidden"]))
    return observer.validation_end(0), batches


def values(batches: list[tuple[EventBatch, Tensor]], channel: int, ids: Tensor | slice = slice(None)) -> Tensor:
    """Return all scored values, which are the residuals of zero."""
    scored = [(b.valid[..., channel] & hidden & (b.weight > 0)[:, None])[:, ids] for b, hidden in batches]
    return torch.cat([b.x[:, ids, channel][one] for (b, _), one in zip(batches, scored, strict=True)]).double()


def test_the_loss_is_the_weighted_sum_of_means_over_all_events(watched) -> None:
    metrics, batches = watched
    means = [values(batches, channel).square().mean().item() for channel in (0, 1)]
    assert metrics["val/loss"] == pytest.approx(2.0 * means[0] + 0.5 * means[1], rel=1e-5)
    # The mean of the two batches' means is something else: their numbers of times differ by nine.
    by_batch = [values([one], 1).square().mean().item() for one in batches]
    assert abs(sum(by_batch) / 2 / means[1] - 1) > 0.1


@pytest.mark.parametrize("face", FACE_NAMES)
def test_errors_of_a_face_are_those_of_its_sensors(watched, face: str) -> None:
    metrics, batches = watched
    ids = torch.as_tensor(face_sensor_ids(FACE_NAMES.index(face)))
    npho, time = (values(batches, channel, ids) for channel in (0, 1))
    assert metrics[f"val/npho_mae_normalized_{face}"] == pytest.approx(npho.abs().mean().item(), rel=1e-5)
    assert metrics[f"val/npho_rmse_normalized_{face}"] == pytest.approx(npho.square().mean().sqrt().item(), rel=1e-5)
    assert metrics[f"val/loss_npho_{face}"] == pytest.approx(npho.square().mean().item(), rel=1e-5)
    assert metrics[f"val/time_mae_ns_{face}"] == pytest.approx(114 * time.abs().mean().item(), rel=1e-5)
    assert metrics[f"val/time_rmse_ns_{face}"] == pytest.approx(114 * time.square().mean().sqrt().item(), rel=1e-5)


def test_each_validation_starts_anew(watched) -> None:
    task = RestorationTask(0.3, 2, NORMALIZATION, RestorationTrainingConfig())
    observer = RestorationObserver(task)
    assert observer.validation_end(0)["val/loss"] != observer.validation_end(0)["val/loss"]  # NaN: nothing was hidden
