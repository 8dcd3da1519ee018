"""Losses of restored values, channel by channel."""

from typing import cast

import torch
from torch import Tensor

from lib.data.normalization import Normalization
from lib.tasks.config import LossName
from lib.tasks.losses import DEFAULT_BETA, elementwise_loss, gaussian_nll, laplace_nll, poisson_deviance
from lib.tasks.mask_drawing import NPHO_CHANNEL
from lib.tasks.restoration_config import LIKELIHOODS, RestorationTrainingConfig

DEFAULT_POWER = 0.5
# Errors between a millionth and a million of the normalized unit; beyond, the exponential would leave float32.
_LARGEST_LOG = 14.0


class RestorationLoss:
    """Scores restored values against measured ones.

    Args:
        channels: Channels that the model predicts, 1 or 2.
        normalization: For photons.
        training: Supplies the loss.
    """

    def __init__(self, channels: int, normalization: Normalization, training: RestorationTrainingConfig) -> None:
        self._channels = channels
        self._normalization = normalization
        self._name = training.loss_fn
        self._noise, self._spread = training.poisson_noise, training.poisson_spread
        default = DEFAULT_POWER if training.loss_fn == "gaussian_nll" else DEFAULT_BETA
        self._beta = default if training.loss_beta is None else training.loss_beta
        self.channel_weights = (training.npho_weight, training.time.weight)[:channels]

    @property
    def learns_errors(self) -> bool:
        """Whether the model says an error beside each value."""
        return self._name in LIKELIHOODS

    def split(self, said: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return values and, where errors are learnt, their logarithms, (B, 4760, C) each, of what a model said."""
        if not self.learns_errors:
            return said, None
        return said[..., : self._channels], said[..., self._channels :].clamp(-_LARGEST_LOG, _LARGEST_LOG)

    def of_values(self, prediction: Tensor, log_error: Tensor | None, target: Tensor) -> Tensor:
        """Return the loss of each value, shape (B, 4760, C), float32."""
        if log_error is not None:
            residual, log_error = prediction.float() - target, log_error.float()
            if self._name == "laplace_nll":
                return laplace_nll(residual, log_error)
            return gaussian_nll(residual, log_error, self._beta)
        if self._name == "poisson":
            losses = elementwise_loss("smooth_l1", prediction, target, DEFAULT_BETA)
            npho = poisson_deviance(
                prediction[..., NPHO_CHANNEL],
                target[..., NPHO_CHANNEL],
                self._normalization,
                self._noise,
                self._spread,
            )
            return torch.cat([npho[..., None], losses[..., 1:]], dim=-1)
        return elementwise_loss(cast("LossName", self._name), prediction, target, self._beta)

    def of_constants(self, target: Tensor, weights: Tensor) -> Tensor:
        """Return the mean loss of saying the mean everywhere, shape (C,).

        Args:
            target: Normalized values, shape (B, 4760, C).
            weights: Of the values, same shape.
        """
        total = weights.sum(dim=(0, 1)).clamp_min(1.0)
        mean = (target * weights).sum(dim=(0, 1)) / total
        losses = self.of_values(mean.expand_as(target), None, target)
        return ((losses * weights).sum(dim=(0, 1)) / total).clamp_min(1e-9)
