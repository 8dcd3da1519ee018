"""Losses of residuals, of likelihoods and of directions, in float32 whatever the precision of the prediction."""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.normalization import Normalization
from lib.tasks.config import LossName

DEFAULT_BETA: Final = 0.1
"""Scaled residual at which smooth_l1 and huber become linear."""

# The gradient of a square root is infinite at zero; 1e-6 rad is far below what is measured.
_LEAST_SINE: Final = 1e-6
_LEAST_COUNT: Final = 1e-6
# Few enough that a leakage tail hardly pulls, enough that the width of the core is known.
_DEGREES_OF_FREEDOM: Final = 3.0


def elementwise_loss(name: LossName, prediction: Tensor, target: Tensor, beta: float) -> Tensor:
    """Return the loss of each element.

    Args:
        name: smooth_l1 (slope 1 in the tails), huber (slope beta), l1, or mse.
        prediction: Any shape.
        target: Same shape.
        beta: Residual at which smooth_l1 and huber become linear; not used by the others.

    Returns:
        Losses of the same shape, float32 whatever the precision of the prediction.
    """
    prediction, target = prediction.float(), target.float()
    match name:
        case "smooth_l1":
            return F.smooth_l1_loss(prediction, target, beta=beta, reduction="none")
        case "huber":
            return F.huber_loss(prediction, target, delta=beta, reduction="none")
        case "l1":
            return F.l1_loss(prediction, target, reduction="none")
        case "mse":
            return F.mse_loss(prediction, target, reduction="none")


def poisson_deviance(
    prediction: Tensor, target: Tensor, normalization: Normalization, noise: float = 0.0, spread: float = 0.0
) -> Tensor:
    """Return the Poisson deviance of photon counts, in the unit of a squared residual of the square-root scheme.

    Its gradient is the residual in photons over their variance, so that the mean of the photons is learnt, and not that
    of their roots or logarithms; the variance is n + (``spread`` n)^2 for n = photons + ``noise``. Below one photon,
    where the deviance without noise has no slope to go by or none at all, the loss rises with the prediction's distance
    from there.

    Args:
        prediction: Normalized photon counts, any shape.
        target: Same shape; counts below 0, which pedestals leave, keep their sign where the normalization does.
        normalization: For photons.
        noise: Photons whose variance is that of the electronic noise.
        spread: Relative error of the mean beside the statistics of the photons; then a negative binomial deviance.

    Source: P. McCullagh and J. A. Nelder, "Generalized Linear Models", sections 2.3 and 9.2 (quasi-likelihood of a
        variance in proportion to the mean plus a constant).
    """
    prediction, target = prediction.float(), target.float()
    one = torch.ones_like(target)
    least = normalization.apply(one, torch.zeros_like(one))[0][..., 0]
    expected = normalization.inverse_npho(torch.maximum(prediction, least)) + noise
    measured = normalization.inverse_npho(target) + noise
    # Far below zero the deviance has no logarithm of its own to start from, but its gradient is the same.
    positive = measured.clamp_min(_LEAST_COUNT)
    if noise == 0.0:
        measured = measured.clamp_min(0.0)
    excess = expected - measured.clamp_min(0.0)
    if spread > 0.0:
        square = spread**2
        excess = (1.0 / square + measured) * torch.log1p(square * excess / (1.0 + square * measured.clamp_min(0.0)))
    deviance = 2.0 * (excess - measured * torch.log(expected / positive))
    # Near the truth the deviance is (difference)^2 / photons, four times npho_scale the squared residual of roots.
    return deviance / (4.0 * normalization.npho_scale) + F.relu(least - prediction)


def gaussian_nll(residual: Tensor, log_sigma: Tensor, beta: float) -> Tensor:
    """Return the negative logarithm of a Gaussian likelihood, each element weighed by its variance to the power beta.

    Without the weight, events with a small predicted variance take over the gradient of the mean: it goes with
    residual / variance. The weight takes no part in the gradient.

    Args:
        residual: Prediction minus truth, any shape.
        log_sigma: Logarithm of the predicted standard deviation, same shape.
        beta: 0 for the plain likelihood, 1 for the gradient of a squared residual.

    Source: M. Seitzer et al., "On the Pitfalls of Heteroscedastic Uncertainty Estimation with Probabilistic Neural
        Networks", arXiv:2203.09168, eq. 5.
    """
    likelihood = 0.5 * (residual * torch.exp(-log_sigma)).square() + log_sigma
    return torch.exp(2.0 * beta * log_sigma.detach()) * likelihood


def laplace_nll(residual: Tensor, log_width: Tensor) -> Tensor:
    """Return the negative logarithm of a Laplace likelihood (without ln 2) for residuals of any shape.

    Args:
        residual: Prediction minus truth.
        log_width: Logarithm of the predicted scale, the mean of the absolute residual.
    """
    return residual.abs() * torch.exp(-log_width) + log_width


def student_nll(residual: Tensor, log_width: Tensor) -> Tensor:
    """Return the negative logarithm of the likelihood of Student's t with three degrees of freedom, less its constant.

    Its pull falls off beyond 1.7 widths: the value is that of the peak, whatever the tails are like, where the mean of
    a Gaussian moves with the tail of leaked showers.

    Args:
        residual: Prediction minus truth, any shape.
        log_width: Logarithm of the predicted scale, same shape.

    Source: K. L. Lange, R. J. A. Little and J. M. G. Taylor, "Robust statistical modeling using the t distribution",
        J. Am. Stat. Assoc. 84 (1989) 881.
    """
    square = (residual * torch.exp(-log_width)).square()
    return 0.5 * (_DEGREES_OF_FREEDOM + 1.0) * torch.log1p(square / _DEGREES_OF_FREEDOM) + log_width


def unit_vector(angles: Tensor) -> Tensor:
    """Return the emission directions of (theta, phi) in degrees, (B, 2) -> (B, 3)."""
    theta, phi = torch.deg2rad(angles).unbind(dim=1)
    return torch.stack([-theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], dim=1)


def cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """Return 1 minus the cosine of the angle between unit vectors of shape (B, 3), shape (B,).

    Written as half of the squared chord, which keeps its digits at small angles.
    """
    return 0.5 * (first - second).square().sum(dim=1)


def opening_angle(first: Tensor, second: Tensor) -> Tensor:
    """Return the angle in radians between vectors of shape (B, 3), shape (B,); its gradient is finite at zero, too."""
    squared_sine = torch.linalg.cross(first, second).square().sum(dim=1)
    sine = torch.sqrt(squared_sine + _LEAST_SINE**2)
    return torch.atan2(sine, (first * second).sum(dim=1))
