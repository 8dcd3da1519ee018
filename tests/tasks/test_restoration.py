"""Scores of restored sensors."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.models.config import InpainterModelConfig, MaeModelConfig
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.tasks.restoration import RestorationTask
from lib.tasks.restoration_config import RestorationTrainingConfig

RATIO = 0.4


class Says(nn.Module):
    """Predicts fixed numbers and remembers what it was asked to restore."""

    def __init__(self, prediction: Tensor) -> None:
        super().__init__()
        self.prediction = nn.Parameter(prediction)
        self.hidden = torch.zeros(0)

    def forward(self, x: Tensor, valid: Tensor, hidden: Tensor) -> Tensor:
        self.hidden = hidden
        return self.prediction


class PoisonedInput(nn.Module):
    """Gives a model inputs in which a value stands at every sensor that it must not see."""

    def __init__(self, model: nn.Module, value: float) -> None:
        super().__init__()
        self.model = model
        self.value = value

    def forward(self, x: Tensor, valid: Tensor, hidden: Tensor) -> Tensor:
        seen = valid & ~hidden[..., None]
        return self.model(torch.where(seen, x, self.value), valid, hidden)


def make_task(normalization: Normalization, channels: int = 2, **training: Any) -> RestorationTask:
    return RestorationTask(RATIO, channels, normalization, RestorationTrainingConfig(**training))


def noise(count: int, channels: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 4760, channels, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_loss_sums_over_channels_the_mean_at_hidden_measured_sensors(normalization, make_batch, channels) -> None:
    batch = make_batch(4)
    model = Says(noise(4, channels))
    output = make_task(normalization, channels, loss_fn="l1").step(model, batch)
    residual = (model.prediction - batch.x[..., :channels]).abs()
    expected = sum(
        residual[..., channel][model.hidden & batch.valid[..., channel]].mean() for channel in range(channels)
    )
    torch.testing.assert_close(output.loss, expected, rtol=1e-5, atol=0)


def test_only_hidden_measured_sensors_get_gradients(normalization, make_batch) -> None:
    batch = make_batch(3, padding=1)
    model = Says(noise(3, 2))
    make_task(normalization, loss_fn="l1").step(model, batch).loss.backward()
    counts = batch.weight[:, None, None] > 0
    assert model.prediction.grad is not None
    assert torch.equal(model.prediction.grad != 0, model.hidden[..., None] & batch.valid & counts)


def test_hidden_sensors_are_the_stated_share_of_the_measured_ones(normalization, make_batch) -> None:
    batch = make_batch(5)
    output = make_task(normalization).step(Says(noise(5, 2)), batch)
    has_npho = batch.valid[..., 0]
    hidden = output.outputs["hidden"]
    assert not (hidden & ~has_npho).any()
    assert hidden.sum(dim=1).tolist() == [int(count * 2 // 5) for count in has_npho.sum(dim=1)]
    num_hidden, num_valid = output.sums["actual_mask_ratio"]
    assert (num_hidden, num_valid) == (hidden.sum(), has_npho.sum())
    assert output.sums["hidden_share"] == (hidden.sum(), 5 * 4760)


def test_the_seed_of_the_batch_decides_what_is_hidden(normalization, make_batch) -> None:
    task, batch = make_task(normalization), make_batch(2)
    model = Says(noise(2, 2))
    hidden = [task.step(model, replace(batch, seed=seed)).outputs["hidden"] for seed in (7, 7, 8)]
    assert torch.equal(hidden[0], hidden[1])
    assert not torch.equal(hidden[0], hidden[2])


def test_rows_of_weight_zero_change_neither_loss_nor_sums(normalization, make_batch) -> None:
    task = make_task(normalization)
    batch = make_batch(6, padding=2)
    prediction = noise(6, 2)
    first = task.step(Says(prediction), batch)
    # Other sensors, other predictions and other missing values, in the padding alone.
    x, valid, other = batch.x.clone(), batch.valid.clone(), prediction.clone()
    x[4:], other[4:], valid[4:, ::2] = 77.0, -5.0, False
    second = task.step(Says(other), replace(batch, x=x, valid=valid))
    assert torch.equal(first.loss, second.loss)
    for name, (total, count) in first.sums.items():
        assert torch.equal(total, second.sums[name][0]), name
        assert torch.equal(count, second.sums[name][1]), name


def test_errors_are_means_in_their_units(normalization, make_batch) -> None:
    batch = make_batch(3)
    output = make_task(normalization).step(Says(batch.x + torch.tensor([0.25, -0.5])), batch)
    means = {name: (total / count).item() for name, (total, count) in output.sums.items()}
    assert means["npho_mae_normalized"] == pytest.approx(0.25, rel=1e-5)
    assert means["time_mae_ns"] == pytest.approx(0.5 * 114.0, rel=1e-5)


def test_a_model_of_npho_alone_is_not_scored_on_times(normalization, make_batch) -> None:
    output = make_task(normalization, 1).step(Says(noise(2, 1)), make_batch(2))
    assert {"loss_npho", "npho_mae_normalized"} <= output.sums.keys()
    assert not {"loss_time", "time_mae_ns"} & output.sums.keys()


def test_a_batch_without_a_single_time_has_a_finite_loss(normalization, make_batch) -> None:
    batch = make_batch(2)
    valid = batch.valid.clone()
    valid[..., 1] = False
    output = make_task(normalization).step(Says(noise(2, 2)), replace(batch, valid=valid))
    assert torch.isfinite(output.loss)
    torch.testing.assert_close(output.loss, output.sums["loss_npho"][0] / output.sums["loss_npho"][1])
    assert output.sums["loss_time"][1] == 0


@pytest.mark.parametrize("balanced", [False, True])
def test_the_expected_light_is_learnt_in_place_of_the_measured(normalization, make_batch, balanced: bool) -> None:
    measured = make_batch(4)
    light = 500.0 * torch.rand(4, 4760, generator=torch.Generator().manual_seed(3))
    batch = replace(measured, truth={"nphoExpected": light})
    task = make_task(normalization, loss_fn="mse", npho_target="expected", auto_channel_weight=balanced)
    assert task.truth_branches == ["nphoExpected"]
    right = normalization.apply(light, torch.full_like(light, 1e-8))[0][..., :1]
    said = torch.cat([right, batch.x[..., 1:]], dim=-1)
    output = task.step(Says(said), batch)
    assert output.loss.item() == 0.0
    assert output.outputs["hidden"].sum() > 0
    wrong = torch.cat([right + 0.1, batch.x[..., 1:]], dim=-1)
    if not balanced:
        assert task.step(Says(wrong), batch).loss.item() == pytest.approx(0.01, rel=1e-4)


def test_no_truth_is_read(normalization) -> None:
    assert make_task(normalization).truth_branches == []


@pytest.mark.parametrize(("kind", "value"), [("mae", float("nan")), ("mae", 1e30), ("inpainter", float("nan"))])
def test_what_hidden_sensors_hold_never_reaches_the_loss_through_the_input(
    normalization, make_batch, tiny, kind: str, value: float
) -> None:
    torch.manual_seed(0)
    model: nn.Module
    if kind == "mae":
        model = MaskedAutoencoder(MaeModelConfig(**tiny, decoder_dim=4), normalization)
    else:
        model = Inpainter(InpainterModelConfig(**tiny, hidden_dim=4, head_depth=1), normalization)
    task, batch = make_task(normalization), make_batch(2)
    clean = task.step(model, batch)
    clean.loss.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    poisoned = task.step(PoisonedInput(model, value), batch)
    poisoned.loss.backward()
    assert torch.equal(clean.loss, poisoned.loss)
    assert torch.isfinite(clean.loss)
    for before, parameter in zip(gradients, model.parameters(), strict=True):
        assert torch.equal(before, parameter.grad)
