"""Watches the validation of a regressor and corrects its outputs by what it shows: bias, and size of the errors."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from lib.data.batch import EventBatch
from lib.data.branches import INVALID_ABOVE
from lib.evaluation.statistics.calibration import COVERED
from lib.evaluation.statistics.resolution import core_sigma, quantile_68
from lib.geometry.sensors import FloatArray
from lib.models.output_correction import OutputCorrection
from lib.tasks.regression import ERROR_SUFFIX
from lib.tasks.targets import Target
from lib.training.protocol import StepOutput

FEWEST_EVENTS: Final = 400
"""With fewer the size of the errors is known to worse than 5 %, and nothing is corrected."""
MOST_EVENTS: Final = 100_000
"""The first of a validation; they say it to 0.3 %, and memory stays flat."""
# Relative, of the energy.
_LARGEST_BIAS: Final = 0.5


class CorrectionFit:
    """Fits the correction of a regressor's outputs after each validation, for the checkpoint that follows.

    The mean of a likelihood takes in the tails. That of the energy lies below, from leaked showers, and all other
    events come out too high for it. Physics is done with the peak: values are moved until the core of the residuals is
    centred, energies by a factor. Errors are multiplied by what makes them hold 68.27 % of the residuals then.

    Args:
        targets: What the regressor learns.
        correction: Is set.
    """

    def __init__(self, targets: Sequence[Target], correction: OutputCorrection) -> None:
        # Neither classes nor the components of a unit vector have a bias of their own.
        self._targets = [target for target in targets if target.transform not in {"classes", "direction"}]
        self._correction = correction
        self._parts: dict[str, list[FloatArray]] = {}
        self._num_events = 0

    def validation_batch(self, batch: EventBatch, output: StepOutput) -> None:
        """Take in one batch; rows that only fill it up are left out."""
        if self._num_events >= MOST_EVENTS:
            return
        real = batch.weight > 0
        self._num_events += int(real.sum())
        for target in self._targets:
            columns = [output.outputs[target.name], batch.truth[target.branch]]
            if target.errors:
                columns.append(output.outputs[target.name + ERROR_SUFFIX])
            self._parts.setdefault(target.name, []).append(np.stack([_array(one[real]) for one in columns]))

    def validation_end(self, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the same for every epoch
        """Set the correction; there are no metrics of it."""
        for target in self._targets if self._num_events else ():
            self._fit(target, np.concatenate(self._parts[target.name], axis=1))
        self._parts, self._num_events = {}, 0
        return {}

    def _fit(self, target: Target, columns: FloatArray) -> None:
        """Set the correction of one target from predictions, truth and errors, shape (2 or 3, N, width)."""
        gain, offset = np.ones(target.head_width), np.zeros(target.head_width)
        for i in range(target.width):
            relative = target.name == "energy"
            usable = _usable(columns[:, :, i], relative=relative)
            if usable.shape[1] < FEWEST_EVENTS:
                continue
            gain[i], offset[i] = _centre(usable[0], usable[1], relative=relative)
            if target.errors:
                pulls = (gain[i] * usable[0] + offset[i] - usable[1]) / usable[2]
                gain[target.width + i] = quantile_68(pulls, share=COVERED).value
        self._correction.set(target.name, gain=torch.as_tensor(gain), offset=torch.as_tensor(offset))


def _usable(columns: FloatArray, *, relative: bool) -> FloatArray:
    """Return the events whose truth is known, without those that no ratio can be formed of."""
    known = np.isfinite(columns).all(axis=0) & (np.abs(columns[1]) < INVALID_ABOVE)
    positive = columns[1:] if relative else columns[2:]
    return columns[:, known & (positive > 0).all(axis=0)]


def _centre(predicted: FloatArray, true: FloatArray, *, relative: bool) -> tuple[float, float]:
    """Return gain and offset that put the core of the residuals at 0."""
    # Resolution and leakage of the energy go with it, and so does its bias.
    core = core_sigma(predicted / true - 1.0 if relative else predicted - true)
    if not relative:
        return 1.0, -core.mean
    # Energies that are wrong by a factor have not been learnt, and a factor of thousands would not help them.
    return (1.0 / (1.0 + core.mean) if abs(core.mean) < _LARGEST_BIAS else 1.0), 0.0


def _array(values: Tensor) -> FloatArray:
    return values.cpu().double().numpy()
