"""Regression of emission angle, energy, time, first interaction point and number of photons."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.models.loss_balance import balanced
from lib.models.regressor import BALANCE_PREFIX
from lib.tasks.config import TaskConfig, TasksConfig, error_model
from lib.tasks.reflection import Reflection
from lib.tasks.target_loss import event_losses
from lib.tasks.targets import Target, enabled_targets
from lib.training.protocol import Prepared, StepOutput

ERROR_SUFFIX = "_sigma"
"""What follows a task's name in the name of its predicted errors."""


class RegressionTask:
    """Scores the heads of a regressor.

    Args:
        tasks: Which targets are learnt, and with what loss.
        normalization: Supplies the sentinels of sensors that are dropped out.
        channel_dropout_rate: Probability that a sensor is taken out of a training event.
        reflect: Mirror random training events.
    """

    run_metrics: frozenset[str] = frozenset()

    def __init__(
        self, tasks: TasksConfig, normalization: Normalization, channel_dropout_rate: float, *, reflect: bool = False
    ) -> None:
        self.targets: Sequence[Target] = enabled_targets(tasks)
        self._settings: dict[str, TaskConfig] = tasks.enabled()
        self._sentinels = (normalization.sentinel_npho, normalization.sentinel_time)
        self._channel_dropout_rate = channel_dropout_rate
        self._reflection = Reflection() if reflect else None

    @property
    def truth_branches(self) -> list[str]:
        """Branches that the targets are read from."""
        return [target.branch for target in self.targets]

    def step(self, model: nn.Module, batch: EventBatch) -> StepOutput:
        """Prepare and score a whole batch."""
        return self.score(model, self.prepare(batch, training=model.training))

    def prepare(self, batch: EventBatch, *, training: bool) -> Prepared[EventBatch]:
        """Mirror random events and take random sensors out while training, and weigh the batch."""
        if training and self._reflection is not None:
            batch = self._reflection.draw(batch)
        return Prepared(self._drop_channels(batch) if training else batch, totals={"weight": batch.weight.sum()})

    def score(self, model: nn.Module, prepared: Prepared[EventBatch]) -> StepOutput:
        """Return the weighted sum of the losses of all targets, each a mean over components and events."""
        batch = prepared.batch
        said: dict[str, Tensor] = model(batch.x, batch.valid)
        count = batch.weight.sum()
        sums: dict[str, tuple[Tensor, Tensor]] = {}
        total = torch.zeros((), device=batch.x.device)
        for target in self.targets:
            settings = self._settings[target.name]
            losses = event_losses(target, settings, said[target.name], batch.truth[target.branch])
            summed = (losses * batch.weight).sum()
            sums[f"loss_{target.name}"] = (summed, count)
            log_size = said.get(BALANCE_PREFIX + target.name)
            if log_size is not None:
                sums[f"loss_weight_{target.name}"] = (settings.weight * torch.exp(-log_size.detach()) * count, count)
                summed = balanced(summed, log_size, count)
            total = total + settings.weight * summed
        sums["loss"] = (total, count)
        return StepOutput(total / prepared.totals["weight"], sums, self._outputs(said))

    def _outputs(self, said: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the heads said in physical units, and the predicted errors beside it."""
        heads = {target: said[target.name].detach() for target in self.targets}
        values = {target.name: target.to_physical(head) for target, head in heads.items()}
        errors = {target.name + ERROR_SUFFIX: target.to_error(head) for target, head in heads.items() if target.errors}
        return values | errors

    def _drop_channels(self, batch: EventBatch) -> EventBatch:
        """Return the batch with random sensors taken out, as if they were dead."""
        if not self._channel_dropout_rate:
            return batch
        dropped = torch.rand(batch.x.shape[:2], device=batch.x.device) < self._channel_dropout_rate
        channels = zip(batch.x.unbind(dim=-1), self._sentinels, strict=True)
        x = torch.stack([torch.where(dropped, sentinel, channel) for channel, sentinel in channels], dim=-1)
        return replace(batch, x=x, valid=batch.valid & ~dropped[..., None])


def tasks_to_balance(tasks: TasksConfig) -> list[str]:
    """Return the targets whose loss weights can be learnt.

    Likelihoods are left out: they know their own scale, and a loss that can be negative has no size.
    """
    return [name for name, task in tasks.enabled().items() if error_model(task.loss_fn) is None]
