"""Regression of emission angle, energy, time and first interaction point."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.tasks.config import TaskConfig, TasksConfig
from lib.tasks.losses import elementwise_loss
from lib.tasks.targets import Target, enabled_targets
from lib.training.protocol import Prepared, StepOutput

DEFAULT_BETA: Final = 0.1


class RegressionTask:
    """Scores the heads of a regressor.

    Args:
        tasks: Which targets are learnt, and with what loss.
        normalization: Supplies the sentinels of sensors that are dropped out.
        channel_dropout_rate: Probability that a sensor is taken out of a training event.
    """

    run_metrics: frozenset[str] = frozenset()

    def __init__(self, tasks: TasksConfig, normalization: Normalization, channel_dropout_rate: float) -> None:
        self.targets: Sequence[Target] = enabled_targets(tasks)
        self._settings: dict[str, TaskConfig] = tasks.enabled()
        self._sentinels = (normalization.sentinel_npho, normalization.sentinel_time)
        self._channel_dropout_rate = channel_dropout_rate

    @property
    def truth_branches(self) -> list[str]:
        """Branches that the targets are read from."""
        return [target.branch for target in self.targets]

    def step(self, model: nn.Module, batch: EventBatch) -> StepOutput:
        """Prepare and score a whole batch."""
        return self.score(model, self.prepare(batch, training=model.training))

    def prepare(self, batch: EventBatch, *, training: bool) -> Prepared[EventBatch]:
        """Take random sensors out while training, and weigh the batch."""
        return Prepared(self._drop_channels(batch) if training else batch, totals={"weight": batch.weight.sum()})

    def score(self, model: nn.Module, prepared: Prepared[EventBatch]) -> StepOutput:
        """Return the weighted sum of the losses of all targets, each a mean over components and events."""
        batch = prepared.batch
        scaled: dict[str, Tensor] = model(batch.x, batch.valid)
        count = batch.weight.sum()
        sums: dict[str, tuple[Tensor, Tensor]] = {}
        total = torch.zeros((), device=batch.x.device)
        for target in self.targets:
            losses = self._event_losses(target, scaled[target.name], batch.truth[target.branch])
            summed = (losses * batch.weight).sum()
            sums[f"loss_{target.name}"] = (summed, count)
            total = total + self._settings[target.name].weight * summed
        sums["loss"] = (total, count)
        outputs = {target.name: target.to_physical(scaled[target.name].detach()) for target in self.targets}
        return StepOutput(total / prepared.totals["weight"], sums, outputs)

    def _event_losses(self, target: Target, scaled: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of each event, shape (B,)."""
        settings = self._settings[target.name]
        wanted = target.to_scaled(truth)
        if settings.loss_beta is None:
            return elementwise_loss(settings.loss_fn, scaled, wanted, DEFAULT_BETA).mean(dim=1)
        # A beta in physical units differs among components of different scale.
        columns = [
            elementwise_loss(settings.loss_fn, scaled[:, [i]], wanted[:, [i]], settings.loss_beta / unit_scale)
            for i, unit_scale in enumerate(self._unit_scales(target))
        ]
        return torch.cat(columns, dim=1).mean(dim=1)

    @staticmethod
    def _unit_scales(target: Target) -> list[float]:
        """Return the physical residual that scaled 1 stands for, of each component, at the centre."""
        if target.logarithmic:
            return [centre * scale for centre, scale in zip(target.centre, target.scale, strict=True)]
        return list(target.scale)

    def _drop_channels(self, batch: EventBatch) -> EventBatch:
        """Return the batch with random sensors taken out, as if they were dead."""
        if not self._channel_dropout_rate:
            return batch
        dropped = torch.rand(batch.x.shape[:2], device=batch.x.device) < self._channel_dropout_rate
        channels = zip(batch.x.unbind(dim=-1), self._sentinels, strict=True)
        x = torch.stack([torch.where(dropped, sentinel, channel) for channel, sentinel in channels], dim=-1)
        return replace(batch, x=x, valid=batch.valid & ~dropped[..., None])
