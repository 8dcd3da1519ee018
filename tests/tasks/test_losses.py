"""Losses against their closed forms."""

import pytest
import torch
from torch import Tensor

from lib.tasks.config import LossName
from lib.tasks.losses import elementwise_loss

RESIDUALS = torch.tensor([-3.0, -0.5, -0.1, 0.0, 0.2, 0.5, 7.0])
BETA = 0.5


def closed_form(name: LossName, r: Tensor) -> Tensor:
    linear = r.abs() - 0.5 * BETA
    match name:
        case "smooth_l1":
            return torch.where(r.abs() < BETA, 0.5 * r**2 / BETA, linear)
        case "huber":
            return torch.where(r.abs() < BETA, 0.5 * r**2, BETA * linear)
        case "l1":
            return r.abs()
        case "mse":
            return r**2


@pytest.mark.parametrize("name", ["smooth_l1", "huber", "l1", "mse"])
def test_each_element_has_the_closed_form(name: LossName) -> None:
    target = torch.linspace(-1.0, 1.0, len(RESIDUALS))
    losses = elementwise_loss(name, target + RESIDUALS, target, BETA)
    # Subtracting the target again rounds the residual at the seventh digit.
    torch.testing.assert_close(losses, closed_form(name, RESIDUALS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["smooth_l1", "huber", "l1", "mse"])
def test_the_loss_is_single_precision_and_keeps_the_shape(name: LossName) -> None:
    prediction = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    losses = elementwise_loss(name, prediction, torch.zeros(2, 3, 4), 0.1)
    assert losses.dtype == torch.float32
    assert torch.equal(losses, elementwise_loss(name, prediction.float(), torch.zeros(2, 3, 4), 0.1))


@pytest.mark.parametrize("name", ["l1", "mse"])
def test_beta_belongs_to_the_others(name: LossName) -> None:
    target = torch.zeros_like(RESIDUALS)
    assert torch.equal(elementwise_loss(name, RESIDUALS, target, 0.1), elementwise_loss(name, RESIDUALS, target, 9.0))
