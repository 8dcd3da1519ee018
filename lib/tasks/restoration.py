"""Restoring sensors that are hidden from the model: masked autoencoding and inpainting.

Both hide some of the valid sensors of each event and score what the model says about exactly those.
Sensors without a value are neither drawn nor scored.
"""

from torch import Tensor, nn

from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.tasks.config import RestorationTrainingConfig
from lib.tasks.losses import DEFAULT_BETA, elementwise_loss
from lib.tasks.mask_drawing import NPHO_CHANNEL, TIME_CHANNEL, MaskDrawing
from lib.training.protocol import Prepared, StepOutput

NANOSECOND = 1e-9


class RestorationTask:
    """Scores a model that restores photon counts, and times where they are valid.

    Args:
        mask_ratio: Share of the valid sensors that is hidden.
        channels: Channels that the model predicts, 1 or 2.
        normalization: For errors in physical units.
        training: Supplies the loss.
    """

    run_metrics = frozenset({"actual_mask_ratio", "hidden_share"})

    def __init__(
        self, mask_ratio: float, channels: int, normalization: Normalization, training: RestorationTrainingConfig
    ) -> None:
        self._masks = MaskDrawing(training.masking, mask_ratio, training.time.mask_ratio_scale)
        self._channels = channels
        self._normalization = normalization
        self._loss_fn = training.loss_fn
        self._beta = DEFAULT_BETA if training.loss_beta is None else training.loss_beta

    @property
    def truth_branches(self) -> list[str]:
        """The sensors themselves are the target; masks may need lists of dead channels."""
        return self._masks.truth_branches

    def step(self, model: nn.Module, batch: EventBatch) -> StepOutput:
        """Prepare and score a whole batch."""
        return self.score(model, self.prepare(batch, training=model.training))

    def prepare(self, batch: EventBatch, *, training: bool) -> Prepared[EventBatch]:
        """Hide sensors, in training and validation alike, and count those that are scored."""
        hidden = self._masks.draw(batch, training=training)
        scored = self._scored(batch, hidden).sum(dim=(0, 1))
        return Prepared(batch, {"hidden": hidden}, {"scored": scored, "weight": batch.weight.sum()})

    def _scored(self, batch: EventBatch, hidden: Tensor) -> Tensor:
        """Return the weight of each value, (B, 4760, C): hidden, with a measured value, in an event that counts."""
        return (hidden[..., None] & batch.valid[..., : self._channels]) * batch.weight[:, None, None]

    def score(self, model: nn.Module, prepared: Prepared[EventBatch]) -> StepOutput:
        """Return the sum over channels of the mean loss of hidden sensors."""
        batch, hidden = prepared.batch, prepared.drawn["hidden"]
        has_npho = batch.valid[..., NPHO_CHANNEL]
        prediction: Tensor = model(batch.x, batch.valid, hidden)
        target = batch.x[..., : self._channels]
        scored = self._scored(batch, hidden)
        losses = elementwise_loss(self._loss_fn, prediction, target, self._beta) * scored
        summed, counts = losses.sum(dim=(0, 1)), scored.sum(dim=(0, 1))
        # An event may have no valid time among its hidden sensors, a batch hardly ever.
        loss = (summed / prepared.totals["scored"].clamp(min=1.0)).sum()
        sums = self._channel_sums(prediction.detach(), target, scored, summed, counts)
        sums["loss"] = (loss * prepared.totals["weight"], batch.weight.sum())
        counted = (batch.weight > 0)[:, None].expand_as(hidden)
        num_hidden = (hidden & counted).sum()
        sums["actual_mask_ratio"] = (num_hidden, (has_npho & counted).sum())
        sums["hidden_share"] = (num_hidden, counted.sum())
        return StepOutput(loss, sums, {"prediction": prediction.detach(), "hidden": hidden})

    def _channel_sums(
        self, prediction: Tensor, target: Tensor, scored: Tensor, summed: Tensor, counts: Tensor
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Return loss and absolute error of each channel as sum and count."""
        npho_error = (prediction[..., NPHO_CHANNEL].float() - target[..., NPHO_CHANNEL]).abs()
        sums = {
            "loss_npho": (summed[NPHO_CHANNEL], counts[NPHO_CHANNEL]),
            "npho_mae_normalized": ((npho_error * scored[..., NPHO_CHANNEL]).sum(), counts[NPHO_CHANNEL]),
        }
        if self._channels > 1:
            time_error = (prediction[..., TIME_CHANNEL].float() - target[..., TIME_CHANNEL]).abs()
            seconds = (time_error * scored[..., TIME_CHANNEL]).sum() * self._normalization.time_scale
            sums["loss_time"] = (summed[TIME_CHANNEL], counts[TIME_CHANNEL])
            sums["time_mae_ns"] = (seconds / NANOSECOND, counts[TIME_CHANNEL])
        return sums
