"""Residuals of one task, of any number of events: distributions, profiles and pulls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lib.evaluation.statistics.calibration import Calibration, CalibrationSummary
from lib.evaluation.statistics.class_counts import ClassCounts
from lib.evaluation.statistics.distribution import Distribution
from lib.evaluation.statistics.profile import AXES, Profile
from lib.evaluation.statistics.residuals import Residuals, task_residuals
from lib.evaluation.statistics.resolution import ResolutionSummary, summarize_distribution
from lib.geometry.sensors import FloatArray

# Physical units of residuals per unit of the target, to bring predicted errors to those of the residuals.
_COMPONENTS: Final[dict[str, tuple[tuple[str, ...], float]]] = {
    "angle": (("theta", "phi"), 1.0),
    "angleVec": (("x", "y", "z"), 1.0),
    "energy": (("energy",), 1e3),
    "timing": (("time",), 1e12),
    "uvwFI": (("u", "v", "w"), 10.0),
}
COMPONENT_UNITS: Final = {"angle": "deg", "angleVec": "1", "energy": "MeV", "timing": "ps", "uvwFI": "mm"}


@dataclass(frozen=True, eq=False)
class Quantity:
    """One residual of a task, in all the forms that are kept.

    Attributes:
        name: Quantity.
        unit: Unit of the residuals.
        label: What they are, for an axis.
        is_distance: True where they are never negative.
        distribution: Of all events.
        profiles: Along each axis whose truth is known.
    """

    name: str
    unit: str
    label: str
    is_distance: bool
    distribution: Distribution
    profiles: tuple[Profile, ...]

    def summary(self) -> ResolutionSummary:
        """Return core, 68 %, bias and shape."""
        return summarize_distribution(self.name, self.unit, self.distribution, is_distance=self.is_distance)

    def add(self, values: FloatArray, axes: Mapping[str, FloatArray]) -> None:
        """Take in residuals, and the truth along each axis."""
        self.distribution.add(values)
        for profile in self.profiles:
            profile.add(values, axes[profile.axis.name])

    def join(self, other: "Quantity") -> None:
        """Take in what the same quantity of other events has."""
        self.distribution.join(other.distribution)
        for mine, theirs in zip(self.profiles, other.profiles, strict=True):
            mine.join(theirs)


class TaskEvaluation:
    """Everything about the predictions of one task; memory does not grow with the events.

    Args:
        task: Name of the task.
        axes: Names of the axes along which residuals are looked at.
    """

    def __init__(self, task: str, axes: Sequence[str]) -> None:
        self.task = task
        self.quantities: list[Quantity] = []
        self.calibrations: list[Calibration] = []
        self.classes: ClassCounts | None = None
        self._axes = [axis for axis in AXES if axis.name in axes]

    def add(
        self,
        predicted: FloatArray,
        true: FloatArray,
        *,
        errors: FloatArray | None = None,
        axes: Mapping[str, FloatArray],
    ) -> None:
        """Take in some events.

        Args:
            predicted: Predictions in the target's unit, shape (N, width).
            true: Truth, shape (N, width); numbers of shape (N, 1) for classes.
            errors: Predicted errors, shape (N, width), where there are some.
            axes: Truth along each axis, shape (N,).
        """
        if self.task not in _COMPONENTS:
            self.classes = self.classes or ClassCounts(predicted.shape[1])
            self.classes.add(predicted, true)
            return
        residuals = task_residuals(self.task, predicted, true)
        if not self.quantities:
            self.quantities = [self._begin(found) for found in residuals]
        for quantity, found in zip(self.quantities, residuals, strict=True):
            quantity.add(found.values, axes)
        if errors is not None:
            self._add_errors(predicted, true, errors)

    def join(self, other: "TaskEvaluation") -> None:
        """Take in what the same task of other events has."""
        if not (self.quantities or self.classes):
            self.quantities, self.calibrations, self.classes = other.quantities, other.calibrations, other.classes
            return
        for mine, theirs in zip(self.quantities, other.quantities, strict=True):
            mine.join(theirs)
        for calibration, theirs_too in zip(self.calibrations, other.calibrations, strict=True):
            calibration.join(theirs_too)
        if self.classes is not None and other.classes is not None:
            self.classes.join(other.classes)

    def summaries(self) -> list[ResolutionSummary]:
        """Return the resolution of every quantity."""
        return [quantity.summary() for quantity in self.quantities]

    def calibration_summaries(self) -> list[CalibrationSummary]:
        """Return how well the errors of every component are predicted; empty where none are."""
        return [calibration.summary() for calibration in self.calibrations]

    def _begin(self, found: Residuals) -> Quantity:
        profiles = tuple(Profile(axis) for axis in self._axes)
        return Quantity(found.name, found.unit, found.label, found.is_distance, Distribution(), profiles)

    def _add_errors(self, predicted: FloatArray, true: FloatArray, errors: FloatArray) -> None:
        labels, unit = _COMPONENTS[self.task]
        self.calibrations = self.calibrations or [Calibration(label) for label in labels]
        difference = np.asarray(predicted, np.float64) - np.asarray(true, np.float64)
        for number, calibration in enumerate(self.calibrations):
            calibration.add(unit * difference[:, number], unit * errors[:, number])
