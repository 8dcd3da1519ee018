"""What can be said without looking at an event: what a model must be better than.

Errors are mean absolute ones: they are defined for every loss, likelihoods included, and a few outliers do not rule
them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.batch import EventBatch
from lib.tasks.targets import Target
from lib.training.protocol import StepOutput

CHANNEL_NAMES = ("npho", "time")


class TruthMean:
    """Predicts the mean of the truth of all events.

    Args:
        targets: What the regressor learns.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._rows: list[dict[str, tuple[Tensor, Tensor]]] = []

    def add(self, batch: EventBatch, output: StepOutput) -> None:
        """Take in one batch; rows that only fill it up are left out."""
        real = batch.weight.cpu() > 0
        self._rows.append(
            {
                target.name: (output.outputs[target.name].cpu()[real], _truth(target, batch).cpu()[real])
                for target in self._targets
            }
        )

    def ratios(self) -> dict[str, float]:
        """Return the ratio of each target: the mean over its components of error over the constant's error."""
        rows, self._rows = self._rows, []
        ratios = {}
        for target in self._targets:
            pairs = [row[target.name] for row in rows]
            predicted, true = (torch.cat(part).double() for part in zip(*pairs, strict=True))
            constant = (true - true.mean(dim=0)).abs().mean(dim=0)
            errors = (predicted - true).abs().mean(dim=0)
            # A component that never changes cannot be predicted better than by a constant.
            varies = constant > 0
            if varies.any():
                ratios[target.name] = float((errors[varies] / constant[varies]).mean())
        return ratios


def _truth(target: Target, batch: EventBatch) -> Tensor:
    """Return what a perfect model would say, shape (B, width); of classes the probabilities 0 and 1."""
    truth = batch.truth[target.branch]
    return F.one_hot(target.to_scaled(truth), target.width) if target.transform == "classes" else truth


class VisibleMean:
    """Predicts for the hidden sensors of an event the mean of its visible ones, channel by channel."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None

    def add(self, batch: EventBatch, output: StepOutput) -> None:
        """Take in one batch."""
        prediction, hidden = output.outputs["prediction"], output.outputs["hidden"]
        moved = batch.to(prediction.device)
        channels = prediction.shape[-1]
        target, valid = moved.x[..., :channels], moved.valid[..., :channels]
        visible = valid & ~hidden[..., None]
        # (B, 4760, C) -> (B, 1, C)
        mean = (target * visible).sum(dim=1, keepdim=True) / visible.sum(dim=1, keepdim=True).clamp(min=1)
        scored = valid & hidden[..., None] & (moved.weight > 0)[:, None, None]
        errors = ((prediction.float() - target).abs() * scored).sum(dim=(0, 1))
        constants = ((mean - target).abs() * scored).sum(dim=(0, 1))
        sums = torch.stack([errors, constants]).double()
        self._sums = sums if self._sums is None else self._sums + sums

    def ratios(self) -> dict[str, float]:
        """Return the ratio of each channel that had hidden values."""
        if self._sums is None:
            return {}
        errors, constants = self._sums.tolist()
        self._sums = None
        pairs = zip(CHANNEL_NAMES, errors, constants, strict=False)
        return {name: error / constant for name, error, constant in pairs if constant > 0}
