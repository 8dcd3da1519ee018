"""Regression targets: from branches in physical units to numbers of order one, and back.

Every target is learnt as (value - centre) / scale. The constants describe the detector and the signal, not a sample,
so that models trained on different samples speak the same language; they travel with every checkpoint.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.data import branches
from lib.tasks.config import TasksConfig


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
        logarithmic: Whether the logarithm of value / centre is learnt instead of the difference.
    """

    name: str
    branch: str
    labels: tuple[str, ...]
    unit: str
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    logarithmic: bool = False

    @property
    def width(self) -> int:
        """Number of components."""
        return len(self.labels)

    def to_scaled(self, value: Tensor) -> Tensor:
        """Return what the head should say for physical values, both of shape (B, width)."""
        # Centre and scale stay numbers: a tensor of them would be copied to the device, and the copy waits for it.
        components = zip(value.unbind(dim=1), self.centre, self.scale, strict=True)
        if self.logarithmic:
            return torch.stack([torch.log(one / centre) / scale for one, centre, scale in components], dim=1)
        return torch.stack([(one - centre) / scale for one, centre, scale in components], dim=1)

    def to_physical(self, scaled: Tensor) -> Tensor:
        """Return physical values of what the head said, both of shape (B, width); the inverse of ``to_scaled``."""
        components = zip(scaled.float().unbind(dim=1), self.centre, self.scale, strict=True)
        if self.logarithmic:
            return torch.stack([centre * torch.exp(one * scale) for one, centre, scale in components], dim=1)
        return torch.stack([centre + one * scale for one, centre, scale in components], dim=1)

    def as_dict(self) -> dict[str, str | bool | list[float]]:
        """Return what a reader of a checkpoint needs to invert the transform."""
        return {
            "branch": self.branch,
            "unit": self.unit,
            "centre": list(self.centre),
            "scale": list(self.scale),
            "logarithmic": self.logarithmic,
        }


# Centre and spread of photons that convert all over the fiducial volume, and of 15-60 MeV, which calibration uses.
_TARGETS = {
    "angle": Target("angle", branches.EMISSION_ANGLE, ("theta", "phi"), "deg", (90.0, 0.0), (12.0, 35.0)),
    "energy": Target("energy", branches.ENERGY, ("energy",), "GeV", (0.0375,), (0.013,)),
    "timing": Target("timing", branches.TIME_TRUTH, ("time",), "s", (0.0,), (1.2e-8,)),
    "uvwFI": Target("uvwFI", branches.UVW, ("u", "v", "w"), "cm", (0.0, 0.0, 5.0), (14.0, 39.0, 5.0)),
}
_LOGARITHMIC_ENERGY = Target("energy", branches.ENERGY, ("energy",), "GeV", (0.0375,), (0.4,), logarithmic=True)


def enabled_targets(tasks: TasksConfig) -> list[Target]:
    """Return the targets that a configuration enables, in fixed order."""
    return [
        _LOGARITHMIC_ENERGY if name == "energy" and task.log_transform else _TARGETS[name]
        for name, task in tasks.enabled().items()
    ]
