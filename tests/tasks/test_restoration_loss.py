"""Losses and weights of restored values, against their formulae."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from lib.cli.schemas import MaeConfig
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.tasks.losses import poisson_deviance
from lib.tasks.restoration import RestorationTask
from lib.tasks.restoration_config import RestorationTrainingConfig
from lib.tasks.sensor_weights import intensity_weights


class Says(nn.Module):
    """Says fixed numbers."""

    def __init__(self, said: Tensor) -> None:
        super().__init__()
        self.said = nn.Parameter(said)

    def forward(self, x: Tensor, valid: Tensor, hidden: Tensor) -> Tensor:
        return self.said


class Repeats(Says):
    """Says fixed numbers, with gradients to where they come from."""

    def __init__(self, said: Tensor) -> None:
        nn.Module.__init__(self)
        self.said = said


def make_task(normalization: Normalization, channels: int = 2, **training: Any) -> RestorationTask:
    settings = RestorationTrainingConfig.model_validate({"loss_fn": "l1"} | training)
    return RestorationTask(0.4, channels, normalization, settings)


def noise(count: int, channels: int = 2) -> Tensor:
    return torch.randn(count, 4760, channels, generator=torch.Generator().manual_seed(1))


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum()


def scored_residuals(normalization, batch, said: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Absolute residuals, what is scored, and photons."""
    hidden = make_task(normalization).step(Says(said), batch).outputs["hidden"]
    residual = (said[..., :2] - batch.x).abs()
    photons = normalization.inverse_npho(batch.x[..., 0]).clamp_min(0)
    return residual, (batch.valid & hidden[..., None]).float(), photons


def test_channels_weigh_as_configured(normalization, make_batch) -> None:
    batch, said = make_batch(3), noise(3)
    residual, scored, _ = scored_residuals(normalization, batch, said)
    output = make_task(normalization, npho_weight=2.0, time={"weight": 0.25}).step(Says(said), batch)
    means = [weighted_mean(residual[..., channel], scored[..., channel]) for channel in (0, 1)]
    torch.testing.assert_close(output.loss, 2.0 * means[0] + 0.25 * means[1], rtol=1e-5, atol=0)


def test_times_below_the_threshold_are_not_scored(normalization, make_batch) -> None:
    batch, said = make_batch(3), noise(3)
    residual, scored, photons = scored_residuals(normalization, batch, said)
    output = make_task(normalization, time={"npho_threshold": 1500.0}).step(Says(said), batch)
    bright = scored[..., 1] * (photons >= 1500.0)
    total, count = output.sums["loss_time"]
    assert count == bright.sum()
    torch.testing.assert_close(total / count, weighted_mean(residual[..., 1], bright), rtol=1e-5, atol=0)
    assert output.sums["loss_npho"][1] == scored[..., 0].sum()


def test_times_weigh_with_the_root_of_the_photons(normalization, make_batch) -> None:
    batch, said = make_batch(3), noise(3)
    residual, scored, photons = scored_residuals(normalization, batch, said)
    total, count = make_task(normalization, time={"use_npho_weight": True}).step(Says(said), batch).sums["loss_time"]
    expected = weighted_mean(residual[..., 1], scored[..., 1] * photons.sqrt())
    torch.testing.assert_close(total / count, expected, rtol=1e-4, atol=0)


def test_bright_sensors_weigh_with_the_power_of_their_photons(normalization, make_batch) -> None:
    batch, said = make_batch(3), noise(3)
    residual, scored, photons = scored_residuals(normalization, batch, said)
    task = make_task(normalization, npho_loss_weight={"enabled": True, "alpha": 0.7})
    sums = task.step(Says(said), batch).sums
    expected = weighted_mean(residual[..., 0], scored[..., 0] * (photons + 1) ** 0.7)
    torch.testing.assert_close(sums["loss_npho"][0] / sums["loss_npho"][1], expected, rtol=1e-4, atol=0)
    # Errors are means over sensors all the same.
    mae, count = sums["npho_mae_normalized"]
    torch.testing.assert_close(mae / count, weighted_mean(residual[..., 0], scored[..., 0]), rtol=1e-5, atol=0)


def test_bright_sensors_weigh_with_what_is_said_of_them(normalization, make_batch) -> None:
    batch, said = make_batch(3), noise(3)
    residual, scored, _ = scored_residuals(normalization, batch, said)
    task = make_task(normalization, npho_loss_weight={"enabled": True, "alpha": 0.7, "by": "restored"})
    sums = task.step(Says(said), batch).sums
    photons = normalization.inverse_npho(said[..., 0]).clamp_min(0.0)
    expected = weighted_mean(residual[..., 0], scored[..., 0] * (photons + 1) ** 0.7)
    torch.testing.assert_close(sums["loss_npho"][0] / sums["loss_npho"][1], expected, rtol=1e-4, atol=0)


def test_a_validation_weighs_with_the_measured_photons_in_any_case(normalization, make_batch) -> None:
    batch, model = make_batch(3), Says(noise(3)).eval()
    by_measured, by_restored = (
        make_task(normalization, npho_loss_weight={"enabled": True, "by": by}).step(model, batch).loss
        for by in ("measured", "restored")
    )
    assert by_measured == by_restored


@pytest.mark.parametrize(("by", "least", "most"), [("restored", -0.01, 0.01), ("measured", 0.05, 0.2)])
def test_only_weights_of_the_measured_photons_raise_what_is_restored(
    normalization, make_batch, by: str, least: float, most: float
) -> None:
    # Values of one distribution look alike to a model that can say one number only; its best is the mean, or more.
    photons = 100.0 * torch.exp(0.4 * torch.randn(3, 4760, generator=torch.Generator().manual_seed(1)))
    x, valid = normalization.apply(photons, torch.zeros(3, 4760))
    batch = replace(make_batch(3), x=x, valid=valid)
    weights = {"enabled": True, "alpha": 0.5, "by": by}
    task = make_task(normalization, channels=1, loss_fn="poisson", npho_loss_weight=weights)
    low, high = (float(normalization.apply(torch.tensor(n), torch.tensor(0.0))[0][0]) for n in (10.0, 1000.0))
    for _ in range(30):
        middle = 0.5 * (low + high)
        said = torch.full((3, 4760, 1), middle, requires_grad=True)
        slope = torch.autograd.grad(task.step(Repeats(said), batch).loss, said)[0].sum()
        low, high = (middle, high) if slope < 0 else (low, middle)
    best = normalization.inverse_npho(torch.tensor(middle))
    hidden = task.step(Repeats(said), batch).outputs["hidden"]
    assert least <= float(best / photons[hidden].mean()) - 1.0 <= most


def test_a_constant_has_the_loss_one_per_channel_where_channels_balance(normalization, make_batch) -> None:
    batch = make_batch(3)
    task = make_task(normalization, auto_channel_weight=True, loss_fn="mse")
    hidden = task.step(Says(noise(3)), batch).outputs["hidden"]
    scored = batch.valid & hidden[..., None]
    means = torch.stack([batch.x[..., channel][scored[..., channel]].mean() for channel in (0, 1)])
    loss = task.step(Says(means.expand(3, 4760, 2).clone()), batch).loss
    torch.testing.assert_close(loss, torch.tensor(2.0), rtol=1e-4, atol=0)


def test_the_events_of_each_bin_of_brightness_weigh_the_same(normalization, make_batch) -> None:
    batch = make_batch(6, padding=1)
    photons = torch.full((6, 4760), 10.0) * torch.tensor([1.0, 1.0, 1.0, 1.0, 100.0, 1e4])[:, None]
    x, valid = normalization.apply(photons, torch.zeros(6, 4760))
    batch = replace(batch, x=x, valid=valid)
    config = RestorationTrainingConfig.model_validate({"intensity_reweighting": {"enabled": True, "nbins": 2}})
    weights = intensity_weights(batch, config.intensity_reweighting, normalization)
    torch.testing.assert_close(weights, torch.tensor([0.625, 0.625, 0.625, 0.625, 2.5, 0.0]))


def test_brightness_reweighs_training_and_leaves_validation_alone(normalization, make_batch) -> None:
    batch = make_batch(4)
    task = make_task(normalization, intensity_reweighting={"enabled": True})
    assert torch.equal(task.prepare(batch, training=False).batch.weight, batch.weight)
    assert not torch.equal(task.prepare(batch, training=True).batch.weight, batch.weight)


@pytest.mark.parametrize("scheme", ["sqrt", "anscombe", "log1p", "linear"])
def test_the_deviance_is_smallest_at_the_truth_in_every_scheme(scheme: str) -> None:
    normalization = Normalization.from_config(NormalizationConfig.model_validate({"npho_scheme": scheme}))
    photons = torch.tensor([3.0, 40.0, 1000.0, 30_000.0])
    target = normalization.apply(photons, torch.zeros(4))[0][..., 0]
    prediction = target.clone().requires_grad_()
    losses = poisson_deviance(prediction, target, normalization)
    losses.sum().backward()
    assert losses.abs().max() < 1e-4
    assert prediction.grad is not None
    assert prediction.grad.abs().max() < 1e-2
    for factor in (0.9, 1.1):
        other = normalization.apply(photons * factor, torch.zeros(4))[0][..., 0]
        expected = 2 * (factor - 1 - torch.log(torch.tensor(factor))) * photons / (4 * normalization.npho_scale)
        torch.testing.assert_close(poisson_deviance(other, target, normalization), expected, rtol=0.02, atol=1e-6)


def test_the_deviance_pulls_predictions_below_one_photon_up(normalization) -> None:
    prediction = torch.tensor([-0.3, -5.0], requires_grad=True)
    poisson_deviance(prediction, torch.tensor([0.5, 0.5]), normalization).sum().backward()
    assert prediction.grad is not None
    assert (prediction.grad < 0).all()


@pytest.mark.parametrize("spread", [0.0, 1e-3, 0.05, 0.5])
def test_the_pull_of_the_deviance_is_the_residual_over_the_variance(spread: float) -> None:
    normalization = Normalization.from_config(NormalizationConfig.model_validate({"npho_scheme": "linear"}))
    measured = torch.tensor([-30.0, 0.0, 5.0, 1000.0, 20_000.0])
    said = torch.tensor([3.0, 3.0, 6.0, 900.0, 25_000.0], requires_grad=True)
    losses = poisson_deviance(said / 1000, measured / 1000, normalization, 40.0, spread)
    losses.sum().backward()
    counted = said.detach() + 40.0
    pull = 2 * (said.detach() - measured) / (counted + (spread * counted) ** 2) / 4000.0
    torch.testing.assert_close(said.grad, pull, rtol=2e-4, atol=1e-9)
    right = poisson_deviance(measured[2:] / 1000, measured[2:] / 1000, normalization, 40.0, spread)
    torch.testing.assert_close(right, torch.zeros(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("noise", [0.0, 40.0])
def test_the_deviance_learns_the_mean_of_the_photons(noise: float) -> None:
    """And not that of their logarithms, which is what a squared residual of log1p learns; pedestals are kept."""
    normalization = Normalization.from_config(NormalizationConfig.model_validate({"npho_scheme": "log1p"}))
    measured = torch.tensor([-90.0, -30.0, 10.0, 60.0, 150.0] if noise else [0.0, 4.0, 10.0, 60.0, 150.0])
    target = normalization.apply(measured, torch.zeros(5))[0][..., 0]
    mean = normalization.apply(measured.mean()[None], torch.zeros(1))[0][..., 0].requires_grad_()
    poisson_deviance(mean.expand(5), target, normalization, noise).sum().backward()
    assert mean.grad is not None
    slope = mean.grad.clone()
    mean.grad = None
    poisson_deviance(mean, target[-1:], normalization, noise).sum().backward()
    assert abs(slope) < 1e-4 * abs(mean.grad)


def test_the_deviance_with_noise_pulls_a_pedestal_like_a_chi_square() -> None:
    """Where the noise rules, its gradient is that of a squared residual over the variance, on both sides of zero."""
    normalization = Normalization.from_config(NormalizationConfig.model_validate({"npho_scheme": "linear"}))
    prediction = torch.tensor([5.0, 5.0], requires_grad=True)
    poisson_deviance(prediction / 1000, torch.tensor([-0.2, 0.2]), normalization, 40.0).sum().backward()
    expected = 2 * torch.tensor([205.0, -195.0]) / 45.0 / 4000.0
    torch.testing.assert_close(prediction.grad, expected)


@pytest.mark.parametrize(("name", "values"), [("poisson_noise", (0.0, 40.0)), ("poisson_spread", (0.0, 0.1))])
def test_noise_and_spread_reach_the_loss(normalization, make_batch, name: str, values: tuple[float, float]) -> None:
    batch, said = make_batch(3), noise(3)
    losses = [
        make_task(normalization, loss_fn="poisson", **{name: value}).step(Says(said), batch).loss for value in values
    ]
    assert losses[0] > losses[1] > 0


def test_poisson_scores_times_like_smooth_l1(normalization, make_batch) -> None:
    batch, said = make_batch(3), noise(3)
    sums = [make_task(normalization, loss_fn=name).step(Says(said), batch).sums for name in ("poisson", "smooth_l1")]
    assert torch.equal(sums[0]["loss_time"][0], sums[1]["loss_time"][0])
    assert not torch.equal(sums[0]["loss_npho"][0], sums[1]["loss_npho"][0])


@pytest.mark.parametrize("loss_fn", ["gaussian_nll", "laplace_nll"])
def test_learnt_errors_settle_at_the_size_of_the_residuals(normalization, make_batch, loss_fn: str) -> None:
    batch = make_batch(2)
    task = make_task(normalization, loss_fn=loss_fn)
    log_errors = torch.full((2, 4760, 2), 0.25).log()
    model = Says(torch.cat([batch.x + 0.25, log_errors], dim=-1))
    output = task.step(model, batch)
    output.loss.backward()
    assert model.said.grad is not None
    assert model.said.grad[..., 2:].abs().max() < 1e-7
    torch.testing.assert_close(output.outputs["error"], torch.full((2, 4760, 2), 0.25))
    assert output.outputs["prediction"].shape == (2, 4760, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss_fn": "poisson", "loss_beta": 0.1}, "loss_beta is not used by poisson"),
        ({"loss_fn": "gaussian_nll", "loss_beta": 2.0}, "loss_beta of gaussian_nll is a power of at most 1"),
        ({"loss_fn": "laplace_nll", "auto_channel_weight": True}, "auto_channel_weight does not fit laplace_nll"),
    ],
)
def test_losses_and_settings_that_do_not_fit_are_refused(settings, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RestorationTrainingConfig.model_validate(settings)


def test_an_autoencoder_learns_no_errors() -> None:
    data = {"train_path": "a", "val_path": "b"}
    with pytest.raises(ValidationError, match="learns errors, which only inpainters predict"):
        MaeConfig.model_validate({"data": data, "training": {"loss_fn": "laplace_nll"}})
