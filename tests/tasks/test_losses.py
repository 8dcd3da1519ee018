"""Losses against their closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lib.geometry.coordinates import emission_vector
from lib.tasks.config import LossName
from lib.tasks.losses import (
    cosine_distance,
    elementwise_loss,
    gaussian_nll,
    laplace_nll,
    opening_angle,
    student_nll,
    unit_vector,
)

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


def test_the_gaussian_likelihood_is_that_of_the_density() -> None:
    log_sigma = torch.linspace(-2.0, 1.0, len(RESIDUALS))
    density = torch.distributions.Normal(0.0, log_sigma.exp()).log_prob(RESIDUALS)
    expected = -density - 0.5 * math.log(2.0 * math.pi)
    torch.testing.assert_close(gaussian_nll(RESIDUALS, log_sigma, 0.0), expected, rtol=1e-5, atol=1e-6)


def test_the_laplace_likelihood_is_that_of_the_density() -> None:
    log_width = torch.linspace(-2.0, 1.0, len(RESIDUALS))
    expected = -torch.distributions.Laplace(0.0, log_width.exp()).log_prob(RESIDUALS) - math.log(2.0)
    torch.testing.assert_close(laplace_nll(RESIDUALS, log_width), expected, rtol=1e-5, atol=1e-6)


def test_the_student_likelihood_is_that_of_the_density() -> None:
    log_width = torch.linspace(-2.0, 1.0, len(RESIDUALS))
    expected = -torch.distributions.StudentT(3.0, 0.0, log_width.exp()).log_prob(RESIDUALS)
    constant = math.log(math.pi * math.sqrt(3.0) / 2.0)
    torch.testing.assert_close(student_nll(RESIDUALS, log_width), expected - constant, rtol=1e-5, atol=1e-6)


def test_a_tail_moves_the_student_value_less_than_the_mean() -> None:
    """A fifth of the events lies up to twenty widths below the others, as leaked showers do."""
    residual = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    residual[::5] -= torch.linspace(0.0, 20.0, 40_000)
    width = torch.zeros_like(residual)
    shifts = torch.linspace(-2.5, 0.5, 61)
    student = torch.stack([student_nll(residual - shift, width).mean() for shift in shifts])
    assert residual.mean().item() == pytest.approx(-2.0, abs=0.02)
    assert abs(shifts[student.argmin()].item()) < 0.3


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_weight_by_variance_takes_no_part_in_the_gradient(beta: float) -> None:
    """d/dr = sigma^(2 beta - 2) r and d/d(log sigma) = sigma^(2 beta) (1 - r^2 / sigma^2)."""
    residual = RESIDUALS.clone().requires_grad_()
    log_sigma = torch.linspace(-1.0, 1.0, len(RESIDUALS)).requires_grad_()
    gaussian_nll(residual, log_sigma, beta).sum().backward()
    sigma = log_sigma.detach().exp()
    torch.testing.assert_close(residual.grad, sigma ** (2 * beta - 2) * RESIDUALS, rtol=1e-5, atol=1e-6)
    expected = sigma ** (2 * beta) * (1 - (RESIDUALS / sigma) ** 2)
    torch.testing.assert_close(log_sigma.grad, expected, rtol=1e-4, atol=1e-5)


def test_the_likelihoods_are_least_at_the_true_width() -> None:
    residual = torch.randn(200_000, generator=torch.Generator().manual_seed(0)) * 0.3
    grid = torch.linspace(-2.0, 0.0, 81)
    gaussian = torch.stack([gaussian_nll(residual, s.expand_as(residual), 0.0).mean() for s in grid])
    # The grid has steps of 0.025.
    assert grid[gaussian.argmin()].item() == pytest.approx(math.log(0.3), abs=0.03)
    laplace = torch.stack([laplace_nll(residual, s.expand_as(residual)).mean() for s in grid])
    assert grid[laplace.argmin()].item() == pytest.approx(math.log(residual.abs().mean().item()), abs=0.03)


ANGLES = torch.tensor([[90.0, 0.0], [70.0, 40.0], [110.0, -60.0], [90.0, 90.0]])


def test_unit_vectors_are_those_of_the_geometry() -> None:
    expected = torch.from_numpy(emission_vector(ANGLES.numpy().astype(np.float64))).float()
    torch.testing.assert_close(unit_vector(ANGLES), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("degrees", [0.01, 1.0, 30.0, 120.0])
def test_rotated_directions_lie_that_far_apart(degrees: float) -> None:
    first = unit_vector(torch.tensor([[90.0, 0.0]], dtype=torch.float64))
    second = unit_vector(torch.tensor([[90.0, degrees]], dtype=torch.float64))
    # The floor of 1e-6 below the sine, which keeps the gradient finite, adds 3e-9 to the smallest.
    assert opening_angle(first, second).item() == pytest.approx(math.radians(degrees), rel=1e-6, abs=4e-9)
    assert cosine_distance(first, second).item() == pytest.approx(1.0 - math.cos(math.radians(degrees)), rel=1e-6)


def test_equal_directions_have_a_finite_gradient() -> None:
    angles = ANGLES.clone().requires_grad_()
    opening_angle(unit_vector(angles), unit_vector(ANGLES)).sum().backward()
    assert torch.isfinite(angles.grad).all()
