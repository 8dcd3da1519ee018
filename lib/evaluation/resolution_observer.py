"""Watches the validation of a regressor: resolutions after each epoch."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from torch import Tensor

from lib.data.batch import EventBatch
from lib.evaluation.statistics.calibration import COVERED
from lib.evaluation.statistics.class_counts import ClassCounts
from lib.evaluation.statistics.distribution import Distribution
from lib.evaluation.statistics.resolution import quantile_68
from lib.geometry.coordinates import emission_vector, opening_angle
from lib.geometry.sensors import FloatArray
from lib.tasks.regression import ERROR_SUFFIX
from lib.tasks.targets import Target
from lib.training.protocol import StepOutput


class ResolutionObserver:
    """Collects distributions of residuals of one validation at a time; memory does not grow with the events.

    Args:
        targets: What the regressor learns.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._residuals: dict[str, Distribution] = {}
        self._classes: dict[str, ClassCounts] = {}

    def validation_batch(self, batch: EventBatch, output: StepOutput) -> None:
        """Take in one batch; rows that only fill it up are left out."""
        real = batch.weight > 0
        for target in self._targets:
            predicted, true = (_array(one[real]) for one in (output.outputs[target.name], batch.truth[target.branch]))
            if target.transform == "classes":
                self._classes.setdefault(target.name, ClassCounts(target.width)).add(predicted, true)
                continue
            found = _METRICS[target.name](predicted, true)
            if target.errors:
                errors = _array(output.outputs[target.name + ERROR_SUFFIX][real])
                found |= _pulls(target, predicted - true, errors)
            for name, values in found.items():
                self._residuals.setdefault(name, Distribution()).add(values)

    def validation_end(self, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the same for every epoch
        """Return the 68th percentiles of the residuals, in the units of the targets (degrees, GeV, s, cm).

        Calibration ratios are the 68.27th percentiles of the pulls; the score of classes is the share that is right.
        """
        metrics = {
            name: quantile_68(*found.filled_bins(), share=COVERED if name.endswith("calibration") else 0.68).value
            for name, found in self._residuals.items()
        }
        metrics |= {f"{name}_accuracy": found.score().accuracy for name, found in self._classes.items()}
        self._residuals, self._classes = {}, {}
        return metrics


def _array(values: Tensor) -> FloatArray:
    return values.cpu().numpy()


def _pulls(target: Target, residuals: FloatArray, errors: FloatArray) -> dict[str, FloatArray]:
    names = [target.name] if target.width == 1 else [f"{target.name}_{label}" for label in target.labels]
    return {f"{name}_calibration": residuals[:, i] / errors[:, i] for i, name in enumerate(names)}


def _angle(predicted: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
    return {"val_resolution_deg": opening_angle(emission_vector(predicted), emission_vector(true))}


def _direction(predicted: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
    return {"angleVec_res_68pct": opening_angle(predicted, true)}


def _energy(predicted: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
    return {"energy_res_68pct": (predicted - true)[:, 0]}


def _timing(predicted: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
    return {"timing_res_68pct": (predicted - true)[:, 0]}


def _position(predicted: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
    residual = predicted - true
    axes = {f"{axis}_res_68pct": residual[:, i] for i, axis in enumerate("uvw")}
    return {**axes, "uvw_dist_68pct": np.linalg.norm(residual, axis=1)}


_METRICS: Final[dict[str, Callable[[FloatArray, FloatArray], dict[str, FloatArray]]]] = {
    "angle": _angle,
    "angleVec": _direction,
    "energy": _energy,
    "timing": _timing,
    "uvwFI": _position,
}
