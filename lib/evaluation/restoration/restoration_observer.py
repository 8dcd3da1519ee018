"""Watches the validation of restored sensors: the loss over all events, and the errors of each face."""

import math

import torch
from torch import Tensor

from lib.data.batch import EventBatch
from lib.geometry.sensors import FACE_NAMES, nominal_sensors
from lib.tasks.restoration import CHANNEL_NAMES, NANOSECOND, RestorationTask
from lib.training.meters import MeanMeters
from lib.training.protocol import StepOutput


class RestorationObserver:
    """Sums the errors of one validation at a time; memory does not grow with the events.

    Args:
        task: Scored the batches.
    """

    def __init__(self, task: RestorationTask) -> None:
        self._task = task
        self._faces = torch.tensor(nominal_sensors().face_codes, dtype=torch.int64)
        self._meters = MeanMeters()

    def validation_batch(self, batch: EventBatch, output: StepOutput) -> None:
        """Take in one batch; rows that only fill it up are left out."""
        prediction, hidden = output.outputs["prediction"].float(), output.outputs["hidden"]
        moved = batch.to(prediction.device)
        scored = self._task.weights.scored(moved, hidden)
        target = moved.x[..., : self._task.channels]
        residual = (prediction - target) * (scored > 0)
        counts = self._by_face(scored)
        self._add("mae", self._by_face(residual.abs() * scored), counts)
        self._add("mse", self._by_face(residual.square() * scored), counts)
        weights = self._task.loss_weights(moved, hidden)
        error = output.outputs.get("error")
        losses = self._task.loss.of_values(prediction, None if error is None else error.log(), target)
        self._add("loss", self._by_face(losses * weights), self._by_face(weights))
        names = [f"{kind}_{name}" for kind in ("loss", "constant") for name in CHANNEL_NAMES]
        self._meters.add({name: output.sums[name] for name in names if name in output.sums})

    def _add(self, statistic: str, totals: Tensor, counts: Tensor) -> None:
        """Add sums and counts of shape (6, C) under their faces, and those of all faces together."""
        for channel, name in enumerate(CHANNEL_NAMES[: totals.shape[1]]):
            for face, total, count in zip(FACE_NAMES, totals[:, channel], counts[:, channel], strict=True):
                self._meters.add({f"{name} {statistic} {face}": (total, count)})
            self._meters.add({f"{name} {statistic}": (totals[:, channel].sum(), counts[:, channel].sum())})

    def _by_face(self, values: Tensor) -> Tensor:
        """Return the sums over the sensors of each face, (B, 4760, C) -> (6, C)."""
        self._faces = self._faces.to(values.device)
        sums = values.new_zeros(len(FACE_NAMES), values.shape[-1])
        return sums.index_add_(0, self._faces, values.sum(dim=0))

    def validation_end(self, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the same for every epoch
        """Return the exact loss, and mean absolute and root mean square errors by face, npho normalized, times in ns.

        Batches have different numbers of times, so the mean of their losses is not the loss of all events; this one
        is, and the run is judged by it.
        """
        means = self._meters.means()
        self._meters = MeanMeters()
        metrics: dict[str, float] = {}
        for name, mean in means.items():
            channel, _, statistic = name.partition(" ")
            if statistic:
                metrics |= self._metric(channel, *statistic.split(), mean=mean)
        return metrics | {"val/loss": self._loss(means)}

    def _metric(self, channel: str, statistic: str, face: str = "", *, mean: float) -> dict[str, float]:
        suffix = f"_{face}" if face else ""
        if statistic == "loss":
            return {f"val/loss_{channel}{suffix}": mean}
        value, label = (mean, "mae") if statistic == "mae" else (math.sqrt(mean), "rmse")
        if channel == "npho":
            return {f"val/npho_{label}_normalized{suffix}": value}
        return {f"val/time_{label}_ns{suffix}": value * self._task.normalization.time_scale / NANOSECOND}

    def _loss(self, means: dict[str, float]) -> float:
        """Return the weighted sum over channels of their mean losses; NaN where nothing was hidden at all."""
        loss = 0.0
        for name, weight in zip(CHANNEL_NAMES, self._task.loss.channel_weights, strict=False):
            if f"loss_{name}" in means:
                loss += weight * means[f"loss_{name}"] / means.get(f"constant_{name}", 1.0)
        return loss if "loss_npho" in means else math.nan
