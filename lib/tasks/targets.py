"""Regression targets: from branches in physical units to numbers of order one, and back.

Every target is learnt as (value - centre) / scale. The constants describe the detector and the signal, not a sample,
so that models trained on different samples speak the same language; they travel with every checkpoint.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, TypeAlias

import torch
from torch import Tensor

from lib.data import branches
from lib.models.anchors import TargetScale
from lib.nn.number_row import number_row
from lib.tasks.config import ErrorModel, TasksConfig, error_model

# Largest logarithm of a predicted error in scaled units. The bound is smooth, so that no gradient dies on it.
LOG_ERROR_BOUND: Final = 10.0
# Half-width of the central 68.27 % in units of the scale parameter that each likelihood knows.
_HALF_WIDTH: Final[dict[ErrorModel, float]] = {
    "gaussian": 1.0,
    "laplace": -math.log(1.0 - 0.6827),
    # Where 2 / pi (atan y + y / (1 + y^2)) with y = x / sqrt(3) is 0.6827.
    "student": 1.19691,
}
# A direction of length zero has none; far below what a network says.
_SHORTEST: Final = 1e-6

Transform: TypeAlias = Literal["linear", "logarithmic", "direction", "classes"]


@dataclass(frozen=True)
class Target:
    """What one head learns.

    Attributes:
        name: Name of the task.
        branch: Truth branch that holds it.
        labels: Name of each component.
        unit: Unit at the border.
        centre: Value of each component that becomes 0.
        scale: Distance from the centre that becomes 1.
        errors: Likelihood whose width the head says beside each value; None for values alone.
    """

    name: str
    branch: str
    labels: tuple[str, ...]
    unit: str
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    errors: ErrorModel | None = None

    transform: ClassVar[Transform] = "linear"

    @property
    def width(self) -> int:
        """Number of components."""
        return len(self.labels)

    @property
    def head_width(self) -> int:
        """Numbers that the head says: the scaled values and, where errors are learnt, the logarithm of each."""
        return self.width if self.errors is None else 2 * self.width

    def to_scaled(self, value: Tensor) -> Tensor:
        """Return what the head should say for physical values, both of shape (B, width)."""
        return (value - number_row(self.centre, value)) / number_row(self.scale, value)

    def to_physical(self, said: Tensor) -> Tensor:
        """Return physical values, shape (B, width), of what the head said, (B, head_width); inverts ``to_scaled``."""
        values = self.scaled_values(said)
        return number_row(self.centre, values) + values * number_row(self.scale, values)

    def to_error(self, said: Tensor) -> Tensor:
        """Return the predicted errors in the target's unit, shape (B, width).

        An error is half of the central interval that holds 68.27 % of the predicted likelihood: the standard deviation
        of a Gaussian, 1.148 of the scale of a Laplace distribution, 1.197 of that of Student's t.
        """
        factor = _HALF_WIDTH[self.errors] if self.errors else 1.0
        return factor * self.log_width(said).exp() * self._unit_of_error(said)

    def scaled_values(self, said: Tensor) -> Tensor:
        """Return the scaled values of what the head said, shape (B, width), float32."""
        return said[:, : self.width].float()

    def log_width(self, said: Tensor) -> Tensor:
        """Return the logarithm of the width of the likelihood of each scaled value, shape (B, width), float32.

        Raises:
            ValueError: If the head says no errors.
        """
        if self.errors is None:
            raise ValueError(f"the head of {self.name!r} says no errors; they come with likelihoods (..._nll)")
        return LOG_ERROR_BOUND * torch.tanh(said[:, self.width :].float() / LOG_ERROR_BOUND)

    def unit_scale(self, component: int) -> float:
        """Return the physical residual of a component that scaled 1 stands for, at the centre."""
        return self.scale[component]

    def _unit_of_error(self, said: Tensor) -> Tensor:
        """Return the physical error that a scaled error of 1 stands for, shape (B, width) or (1, width)."""
        return number_row(self.scale, self.scaled_values(said))

    def as_dict(self) -> dict[str, str | list[float] | None]:
        """Return what a reader of a checkpoint needs to invert the transform."""
        return {
            "branch": self.branch,
            "unit": self.unit,
            "centre": list(self.centre),
            "scale": list(self.scale),
            "transform": self.transform,
            "errors": self.errors,
        }


@dataclass(frozen=True)
class LogarithmicTarget(Target):
    """A positive quantity of which the logarithm of value / centre is learnt, in units of the scale."""

    transform: ClassVar[Transform] = "logarithmic"

    def to_scaled(self, value: Tensor) -> Tensor:
        """Return what the head should say, shape (B, width)."""
        return torch.log(value / number_row(self.centre, value)) / number_row(self.scale, value)

    def to_physical(self, said: Tensor) -> Tensor:
        """Return physical values, shape (B, width), always positive."""
        values = self.scaled_values(said)
        return number_row(self.centre, values) * torch.exp(values * number_row(self.scale, values))

    def unit_scale(self, component: int) -> float:
        """Return the physical residual of a component that scaled 1 stands for, at the centre."""
        return self.centre[component] * self.scale[component]

    def _unit_of_error(self, said: Tensor) -> Tensor:
        # An error of the logarithm is a relative one.
        values = self.to_physical(said)
        return values * number_row(self.scale, values)


@dataclass(frozen=True)
class DirectionTarget(Target):
    """A unit vector; the head says any vector, and its length is forgotten."""

    transform: ClassVar[Transform] = "direction"

    def to_physical(self, said: Tensor) -> Tensor:
        """Return unit vectors, shape (B, 3)."""
        vector = super().to_physical(said)
        return vector / self._length(vector)

    def _unit_of_error(self, said: Tensor) -> Tensor:
        # Normalizing shrinks the components across the direction by the length.
        return super()._unit_of_error(said) / self._length(super().to_physical(said))

    @staticmethod
    def _length(vector: Tensor) -> Tensor:
        return vector.square().sum(dim=1, keepdim=True).clamp(min=_SHORTEST**2).sqrt()


@dataclass(frozen=True)
class ClassTarget(Target):
    """A whole number from 0 to width - 1, the last standing for whatever is larger; the head says a score for each."""

    transform: ClassVar[Transform] = "classes"

    def to_scaled(self, value: Tensor) -> Tensor:
        """Return the number of the class, shape (B,), int64, of counts of shape (B, 1)."""
        return value[:, 0].round().clamp(0, self.width - 1).long()

    def to_physical(self, said: Tensor) -> Tensor:
        """Return the probability of each class, shape (B, width)."""
        return torch.softmax(self.scaled_values(said), dim=1)


# Centre and spread of photons that convert all over the fiducial volume, and of 15-60 MeV, which calibration uses.
_TARGETS: Final[dict[str, Target]] = {
    "angle": Target("angle", branches.EMISSION_ANGLE, ("theta", "phi"), "deg", (90.0, 0.0), (12.0, 35.0)),
    "energy": Target("energy", branches.ENERGY, ("energy",), "GeV", (0.0375,), (0.013,)),
    "timing": Target("timing", branches.TIME_TRUTH, ("time",), "s", (0.0,), (1.2e-8,)),
    "uvwFI": Target("uvwFI", branches.UVW, ("u", "v", "w"), "cm", (0.0, 0.0, 5.0), (14.0, 39.0, 5.0)),
    "angleVec": DirectionTarget(
        "angleVec", branches.EMISSION_VECTOR, ("x", "y", "z"), "1", (-0.85, 0.0, 0.0), (0.12, 0.5, 0.2)
    ),
    "n_gamma": ClassTarget(
        "n_gamma", branches.N_GAMMA, ("p0", "p1", "p2", "p3", "p4"), "probability", (0.0,) * 5, (1.0,) * 5
    ),
}
_LOGARITHMIC_ENERGY: Final = LogarithmicTarget("energy", branches.ENERGY, ("energy",), "GeV", (0.0375,), (0.4,))


def enabled_targets(tasks: TasksConfig) -> list[Target]:
    """Return the targets that a configuration enables, in fixed order."""
    chosen = {
        name: (_LOGARITHMIC_ENERGY if task.log_transform else _TARGETS[name], error_model(task.loss_fn))
        for name, task in tasks.enabled().items()
    }
    return [replace(target, errors=errors) for target, errors in chosen.values()]


def head_scales(targets: Sequence[Target]) -> dict[str, TargetScale]:
    """Return how the heads of quantities speak of physical values, by name of the target; classes have no scale."""
    return {
        target.name: TargetScale(target.centre, target.scale, logarithmic=target.transform == "logarithmic")
        for target in targets
        if target.transform != "classes"
    }
