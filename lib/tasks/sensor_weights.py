"""How much each hidden sensor counts in the loss."""

import torch
from torch import Tensor

from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.tasks.mask_drawing import NPHO_CHANNEL, TIME_CHANNEL
from lib.tasks.masking import equal_width_bins
from lib.tasks.restoration_config import IntensityReweightingConfig, RestorationTrainingConfig


class SensorWeights:
    """Weighs the values of hidden sensors.

    Args:
        channels: Channels that the model predicts, 1 or 2.
        normalization: For photons.
        training: Supplies the rules.
    """

    def __init__(self, channels: int, normalization: Normalization, training: RestorationTrainingConfig) -> None:
        self._channels = channels
        self._normalization = normalization
        self._time = training.time
        self._bright = training.npho_loss_weight

    def scored(self, batch: EventBatch, hidden: Tensor) -> Tensor:
        """Return the weight of the event where a hidden value was measured and is scored, else 0, (B, 4760, C)."""
        scored = (batch.valid & hidden[..., None])[..., : self._channels]
        threshold = self._time.npho_threshold
        if self._channels > TIME_CHANNEL and threshold is not None:
            bright = self._photons(batch) >= threshold
            scored = torch.stack([scored[..., NPHO_CHANNEL], scored[..., TIME_CHANNEL] & bright], dim=-1)
        return scored * batch.weight[:, None, None]

    def of_values(self, batch: EventBatch, restored: Tensor | None = None) -> Tensor | None:
        """Return the weight of each value, shape (B, 4760, C), None where all weigh the same.

        Args:
            batch: Events.
            restored: Normalized photon counts that the model says, shape (B, 4760); None before it has said any.
        """
        weighs_times = self._time.use_npho_weight and self._channels > TIME_CHANNEL
        if not self._bright.enabled and not weighs_times:
            return None
        photons = self._photons(batch)
        ones = torch.ones_like(photons)
        bright = photons
        if restored is not None and self._bright.by == "restored":
            bright = self._normalization.inverse_npho(restored.detach().float()).clamp_min(0.0)
        weights = [(bright + 1.0) ** self._bright.alpha if self._bright.enabled else ones]
        if self._channels > TIME_CHANNEL:
            weights.append(photons.sqrt() if weighs_times else ones)
        return torch.stack(weights, dim=-1)

    def _photons(self, batch: EventBatch) -> Tensor:
        """Return the photons of each sensor, 0 where there is none, shape (B, 4760)."""
        photons = self._normalization.inverse_npho(batch.x[..., NPHO_CHANNEL])
        return torch.where(batch.valid[..., NPHO_CHANNEL], photons.clamp_min(0.0), 0.0)


def intensity_weights(batch: EventBatch, config: IntensityReweightingConfig, normalization: Normalization) -> Tensor:
    """Return factors on the weights of events, with mean 1 over the weighted ones, shape (B,).

    Args:
        batch: A whole batch.
        config: Number of bins.
        normalization: For photons.
    """
    photons = normalization.inverse_npho(batch.x[..., NPHO_CHANNEL])
    total = torch.where(batch.valid[..., NPHO_CHANNEL], photons, 0.0).sum(dim=1)
    real = batch.weight > 0
    bins = equal_width_bins(total.clamp_min(1.0).log()[None], real[None], config.nbins)[0]
    counts = torch.zeros(config.nbins, device=total.device).index_add_(0, bins, real.float())
    factors = torch.where(real, 1.0 / counts[bins].clamp_min(1.0), 0.0)
    return factors * (real.sum() / factors.sum().clamp_min(1e-9))
