"""The loss of each event, target by target."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lib.tasks.config import LOSSES_OF_TASK, TaskConfig, TasksConfig
from lib.tasks.target_loss import DIRECTION_SCALE, event_losses
from lib.tasks.targets import Target, enabled_targets

FITTING = [(task, loss) for task, losses in LOSSES_OF_TASK.items() for loss in sorted(losses)]


def prepared(task: str, **settings: object) -> tuple[Target, TaskConfig]:
    tasks = TasksConfig.model_validate({task: settings})
    return enabled_targets(tasks)[0], tasks.enabled()[task]


def truth_of(target: Target, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    if target.transform == "classes":
        return torch.randint(0, 5, (count, 1), generator=generator).float()
    away = torch.rand(count, target.width, generator=generator) - 0.5
    value = torch.tensor(target.centre) + away * torch.tensor(target.scale)
    return torch.nn.functional.normalize(value) if target.transform == "direction" else value


def perfect(target: Target, truth: Tensor) -> Tensor:
    """What a head would say that knows the truth, with errors of e^-2."""
    if target.transform == "classes":
        return 8.0 * torch.nn.functional.one_hot(target.to_scaled(truth), target.width).float()
    said = target.to_scaled(truth)
    return said if target.errors is None else torch.cat([said, torch.full_like(said, -2.0)], dim=1)


@pytest.mark.parametrize(("task", "loss"), FITTING)
def test_every_loss_is_least_for_the_truth_and_its_gradient_leads_there(task: str, loss: str) -> None:
    target, settings = prepared(task, loss_fn=loss)
    truth = truth_of(target, 6)
    best = perfect(target, truth)
    generator = torch.Generator().manual_seed(1)
    push = torch.randn(best.shape, generator=generator)
    push[:, target.width :] = 0.0
    start = (push if task == "n_gamma" else best + 0.5 * push).requires_grad_()
    losses = event_losses(target, settings, start, truth)
    assert losses.shape == (6,)
    assert losses.dtype == torch.float32
    assert (losses > event_losses(target, settings, best, truth)).all()
    losses.sum().backward()
    downhill = (start - 1e-3 * start.grad / start.grad.norm(dim=1, keepdim=True)).detach()
    assert (event_losses(target, settings, downhill, truth) < losses).all()


@pytest.mark.parametrize(("loss", "power"), [("relative_l1", 1), ("relative_mse", 2)])
def test_relative_losses_depend_on_the_relative_residual_alone(loss: str, power: int) -> None:
    target, settings = prepared("energy", loss_fn=loss)
    truth = torch.tensor([[0.015], [0.0375], [0.06]])
    losses = event_losses(target, settings, target.to_scaled(1.02 * truth), truth)
    expected = (0.02 * 0.0375 / 0.013) ** power
    # A residual of 2 % has lost two of seven digits.
    torch.testing.assert_close(losses, torch.full((3,), expected), rtol=1e-3, atol=0)


def test_a_relative_beta_is_a_relative_residual() -> None:
    target, settings = prepared("energy", loss_fn="relative_smooth_l1", loss_beta=0.05)
    truth = torch.tensor([[0.02], [0.05]])
    losses = event_losses(target, settings, target.to_scaled(torch.tensor([[0.0204], [0.055]])), truth)
    unit = 0.0375 / 0.013
    expected = torch.tensor([0.5 * 0.02**2 / 0.05, 0.1 - 0.025]) * unit
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("task", ["angle", "angleVec"])
def test_directions_count_in_units_of_twelve_degrees(task: str) -> None:
    target, settings = prepared(task, loss_fn="opening_angle")
    turned = math.radians(3.0)
    if task == "angle":
        said, truth = torch.tensor([[90.0, 3.0]]), torch.tensor([[90.0, 0.0]])
    else:
        said = torch.tensor([[-math.cos(turned), math.sin(turned), 0.0]])
        truth = torch.tensor([[-1.0, 0.0, 0.0]])
    assert event_losses(target, settings, target.to_scaled(said), truth).item() == pytest.approx(0.25, rel=1e-4)
    target, settings = prepared(task, loss_fn="cosine")
    expected = (1.0 - math.cos(turned)) / DIRECTION_SCALE**2
    assert event_losses(target, settings, target.to_scaled(said), truth).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("loss_fn", "expected"),
    [
        ("gaussian_nll", lambda pull, log: 0.5 * pull**2 + log),
        ("laplace_nll", lambda pull, log: pull + log),
        ("student_nll", lambda pull, log: 2.0 * math.log1p(pull**2 / 3.0) + log),
    ],
)
def test_each_likelihood_is_that_of_the_scaled_residual(
    loss_fn: str, expected: Callable[[float, float], float]
) -> None:
    target, settings = prepared("timing", loss_fn=loss_fn, **({"loss_beta": 0.0} if loss_fn == "gaussian_nll" else {}))
    log_width = 10.0 * math.tanh(-0.15)
    found = event_losses(target, settings, torch.tensor([[0.3, -1.5]]), torch.tensor([[1.2e-9]])).item()
    assert found == pytest.approx(expected(0.2 * math.exp(-log_width), log_width), rel=1e-5)


def test_the_power_of_the_variance_is_the_beta_of_the_likelihood() -> None:
    truth, losses = torch.tensor([[1e-9]]), {}
    for beta in (0.0, None, 1.0):
        target, settings = prepared("timing", loss_fn="gaussian_nll", loss_beta=beta)
        losses[beta] = event_losses(target, settings, torch.tensor([[0.3, -1.5]]), truth).item()
    variance = math.exp(20.0 * math.tanh(-0.15))
    assert losses[1.0] == pytest.approx(losses[0.0] * variance, rel=1e-5)
    assert losses[None] == pytest.approx(losses[0.0] * variance**0.5, rel=1e-5)
