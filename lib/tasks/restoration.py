"""Restoring sensors that are hidden from the model: masked autoencoding and inpainting.

Both hide some of the valid sensors of each event and score what the model says about exactly those.
Sensors without a value are neither drawn nor scored.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from lib.data.batch import EventBatch
from lib.data.branches import NPHO_EXPECTED
from lib.data.normalization import Normalization
from lib.tasks.mask_drawing import NPHO_CHANNEL, TIME_CHANNEL, MaskDrawing
from lib.tasks.restoration_config import RestorationTrainingConfig
from lib.tasks.restoration_loss import RestorationLoss
from lib.tasks.sensor_weights import SensorWeights, intensity_weights
from lib.training.protocol import Prepared, StepOutput

NANOSECOND = 1e-9
CHANNEL_NAMES = ("npho", "time")


class RestorationTask:
    """Scores a model that restores photon counts, and times where they are valid.

    Args:
        mask_ratio: Share of the valid sensors that is hidden.
        channels: Channels that the model predicts, 1 or 2.
        normalization: For photons and for errors in physical units.
        training: Supplies masks, losses and weights.
    """

    run_metrics = frozenset({"actual_mask_ratio", "hidden_share"})

    def __init__(
        self, mask_ratio: float, channels: int, normalization: Normalization, training: RestorationTrainingConfig
    ) -> None:
        self.channels = channels
        self.normalization = normalization
        self.loss = RestorationLoss(channels, normalization, training)
        self.weights = SensorWeights(channels, normalization, training)
        self.is_balanced = training.auto_channel_weight
        self._masks = MaskDrawing(training.masking, mask_ratio, training.time.mask_ratio_scale)
        self._intensity = training.intensity_reweighting
        self._learns_expected = training.npho_target == "expected"

    @property
    def truth_branches(self) -> list[str]:
        """The sensors themselves or their expected light are the target; masks may need lists of dead channels."""
        return [*self._masks.truth_branches, *([NPHO_EXPECTED] if self._learns_expected else [])]

    def step(self, model: nn.Module, batch: EventBatch) -> StepOutput:
        """Prepare and score a whole batch."""
        return self.score(model, self.prepare(batch, training=model.training))

    def prepare(self, batch: EventBatch, *, training: bool) -> Prepared[EventBatch]:
        """Hide sensors, in training and validation alike, and sum the weights of those that are scored."""
        if training and self._intensity.enabled:
            factors = intensity_weights(batch, self._intensity, self.normalization)
            batch = replace(batch, weight=batch.weight * factors)
        hidden = self._masks.draw(batch, training=training)
        weights = self.loss_weights(batch, hidden)
        totals = {"scored": weights.sum(dim=(0, 1)), "weight": batch.weight.sum()}
        if self.is_balanced:
            totals["constant"] = self.loss.of_constants(self.target(batch), weights)
        return Prepared(batch, {"hidden": hidden}, totals)

    def target(self, batch: EventBatch) -> Tensor:
        """Return the normalized values that hidden sensors are compared with, shape (B, 4760, C)."""
        if not self._learns_expected:
            return batch.x[..., : self.channels]
        light = batch.truth[NPHO_EXPECTED]
        npho = self.normalization.channels(light, torch.zeros_like(light))[0]
        return torch.cat([npho[..., None], batch.x[..., 1 : self.channels]], dim=-1)

    def loss_weights(self, batch: EventBatch, hidden: Tensor, prediction: Tensor | None = None) -> Tensor:
        """Return the weight of each value in the loss, 0 where it is not scored, shape (B, 4760, C).

        Args:
            batch: Events.
            hidden: Sensors that are hidden from the model, shape (B, 4760).
            prediction: What the model says, same shape as the weights; None before it has said anything.
        """
        restored = None if prediction is None else prediction[..., NPHO_CHANNEL]
        scored, of_values = self.weights.scored(batch, hidden), self.weights.of_values(batch, restored)
        return scored if of_values is None else scored * of_values

    def score(self, model: nn.Module, prepared: Prepared[EventBatch]) -> StepOutput:
        """Return the weighted sum over channels of the mean loss of hidden sensors."""
        batch, hidden = prepared.batch, prepared.drawn["hidden"]
        has_npho = batch.valid[..., NPHO_CHANNEL]
        prediction, log_error = self.loss.split(model(batch.x, batch.valid, hidden))
        # A validation's weights do not change with the model: its epochs are compared.
        weights = self.loss_weights(batch, hidden, prediction if model.training else None)
        target = self.target(batch)
        losses = self.loss.of_values(prediction, log_error, target) * weights
        summed, counts = losses.sum(dim=(0, 1)), weights.sum(dim=(0, 1))
        # An event may have no valid time among its hidden sensors, a batch hardly ever.
        means = summed / prepared.totals["scored"].clamp(min=1.0)
        if self.is_balanced:
            means = means / prepared.totals["constant"]
        loss = torch.stack([mean * weight for mean, weight in zip(means, self.loss.channel_weights, strict=True)]).sum()
        sums = by_channel("loss_{}", summed.detach(), counts)
        if self.is_balanced:
            sums |= by_channel("constant_{}", prepared.totals["constant"] * counts, counts)
        sums |= self._errors(prediction.detach(), target, self.weights.scored(batch, hidden))
        sums["loss"] = (loss * prepared.totals["weight"], batch.weight.sum())
        counted = (batch.weight > 0)[:, None].expand_as(hidden)
        num_hidden = (hidden & counted).sum()
        sums["actual_mask_ratio"] = (num_hidden, (has_npho & counted).sum())
        sums["hidden_share"] = (num_hidden, counted.sum())
        outputs = {"prediction": prediction.detach(), "hidden": hidden}
        if log_error is not None:
            outputs["error"] = log_error.detach().float().exp()
        return StepOutput(loss, sums, outputs)

    def _errors(self, prediction: Tensor, target: Tensor, scored: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the absolute error of each channel as sum and count."""
        errors = ((prediction.float() - target).abs() * scored).sum(dim=(0, 1))
        counts = scored.sum(dim=(0, 1))
        sums = {"npho_mae_normalized": (errors[NPHO_CHANNEL], counts[NPHO_CHANNEL])}
        if self.channels > TIME_CHANNEL:
            seconds = errors[TIME_CHANNEL] * self.normalization.time_scale
            sums["time_mae_ns"] = (seconds / NANOSECOND, counts[TIME_CHANNEL])
        return sums


def by_channel(name: str, totals: Tensor, counts: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return sum and count of each channel, shape (C,) each, under a name with a place for the channel's."""
    names = [name.format(channel) for channel in CHANNEL_NAMES[: len(totals)]]
    return dict(zip(names, zip(totals.unbind(), counts.unbind(), strict=True), strict=True))
