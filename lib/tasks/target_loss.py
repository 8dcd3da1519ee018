"""The loss of each event for one target."""

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.nn.number_row import number_row
from lib.tasks.config import DirectionLoss, LossName, RelativeLoss, TaskConfig
from lib.tasks.losses import (
    DEFAULT_BETA,
    cosine_distance,
    elementwise_loss,
    gaussian_nll,
    laplace_nll,
    opening_angle,
    student_nll,
    unit_vector,
)
from lib.tasks.targets import Target

DEFAULT_VARIANCE_POWER: Final = 0.5
# Directions are scored in units of this angle, so that a loss near 1 means the same as for the other targets.
DIRECTION_SCALE: Final = math.radians(12.0)

_PLAIN_OF_RELATIVE: Final[dict[RelativeLoss, LossName]] = {
    "relative_l1": "l1",
    "relative_smooth_l1": "smooth_l1",
    "relative_mse": "mse",
}


def event_losses(target: Target, settings: TaskConfig, said: Tensor, truth: Tensor) -> Tensor:
    """Return the loss of each event, the mean over its components, shape (B,), float32.

    Args:
        target: What is learnt.
        settings: Its loss.
        said: What the head said, shape (B, head_width).
        truth: Physical values, shape (B, width); counts of shape (B, 1) for classes.
    """
    match settings.loss_fn:
        case "cross_entropy":
            return F.cross_entropy(target.scaled_values(said), target.to_scaled(truth), reduction="none")
        case "cosine" | "opening_angle" as name:
            return _direction_losses(name, target, said, truth)
        case "gaussian_nll" | "laplace_nll" | "student_nll":
            return _likelihood_losses(target, settings, said, truth)
        case "relative_l1" | "relative_smooth_l1" | "relative_mse" as name:
            return _relative_losses(name, target, settings.loss_beta, said, truth)
        case "smooth_l1" | "huber" | "l1" | "mse" as name:
            return _residual_losses(name, target, settings.loss_beta, said, truth)


def _likelihood_losses(target: Target, settings: TaskConfig, said: Tensor, truth: Tensor) -> Tensor:
    residual, log_width = target.scaled_values(said) - target.to_scaled(truth), target.log_width(said)
    match settings.loss_fn:
        case "laplace_nll":
            return laplace_nll(residual, log_width).mean(dim=1)
        case "student_nll":
            return student_nll(residual, log_width).mean(dim=1)
    beta = DEFAULT_VARIANCE_POWER if settings.loss_beta is None else settings.loss_beta
    return gaussian_nll(residual, log_width, beta).mean(dim=1)


def _residual_losses(name: LossName, target: Target, loss_beta: float | None, said: Tensor, truth: Tensor) -> Tensor:
    scaled, wanted = target.scaled_values(said), target.to_scaled(truth)
    if loss_beta is None:
        return elementwise_loss(name, scaled, wanted, DEFAULT_BETA).mean(dim=1)
    # A beta in physical units differs among components of different scale.
    columns = [
        elementwise_loss(name, scaled[:, [i]], wanted[:, [i]], loss_beta / target.unit_scale(i))
        for i in range(target.width)
    ]
    return torch.cat(columns, dim=1).mean(dim=1)


def _relative_losses(
    name: RelativeLoss, target: Target, loss_beta: float | None, said: Tensor, truth: Tensor
) -> Tensor:
    """Score residuals relative to the truth, in units of scale / centre: at the centre they are the plain ones."""
    ratio = truth / number_row(target.centre, truth)
    relative = (target.scaled_values(said) - target.to_scaled(truth)) / ratio
    (centre,), (scale,) = target.centre, target.scale
    beta = DEFAULT_BETA if loss_beta is None else loss_beta * centre / scale
    return elementwise_loss(_PLAIN_OF_RELATIVE[name], relative, torch.zeros_like(relative), beta).mean(dim=1)


def _direction_losses(name: DirectionLoss, target: Target, said: Tensor, truth: Tensor) -> Tensor:
    predicted, true = target.to_physical(said), truth.float()
    if target.width == 2:
        predicted, true = unit_vector(predicted), unit_vector(true)
    if name == "cosine":
        return cosine_distance(predicted, true) / DIRECTION_SCALE**2
    return opening_angle(predicted, true) / DIRECTION_SCALE
