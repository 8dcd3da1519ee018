"""What is known of each quantity without a network: predictions are learnt as corrections to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from lib.geometry.sensors import REFERENCE_RADIUS
from lib.models.event_summary import EventSummary
from lib.nn.number_row import number_row

GEV_PER_PHOTON: Final = 7.7e-8
"""Mean of true energy over the sum of all photon counts in the fiducial volume, for the default simulation."""


@dataclass(frozen=True)
class TargetScale:
    """How a head speaks of physical values: (value - centre) / scale, or log(value / centre) / scale.

    Attributes:
        centre: Value of each component that becomes 0.
        scale: Distance from the centre that becomes 1.
        logarithmic: Whether the logarithm is learnt.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    logarithmic: bool = False


class Anchor(NamedTuple):
    """A first value and the size of its error, in the unit of the target.

    Attributes:
        value: Shape (B, width).
        spread: Same shape, or (1, width) where it is the same for all events.
    """

    value: Tensor
    spread: Tensor

    def scaled(self, target: TargetScale) -> "Anchor":
        """Return the anchor as a head would say it."""
        centre, scale = (number_row(numbers, self.value) for numbers in (target.centre, target.scale))
        if target.logarithmic:
            return Anchor(torch.log(self.value / centre) / scale, self.spread / self.value / scale)
        return Anchor((self.value - centre) / scale, self.spread / scale)


def _energy(summary: EventSummary) -> Anchor:
    energy = summary.photons * GEV_PER_PHOTON
    return Anchor(energy, 0.1 * energy)


def _timing(summary: EventSummary) -> Anchor:
    return Anchor(summary.time, number_row([1e-10], summary.time))


def _position(summary: EventSummary) -> Anchor:
    # About the errors of the formula: mm to a centimetre across, more in depth.
    return Anchor(summary.point, number_row([0.5, 0.5, 1.0], summary.point))


def _direction(summary: EventSummary) -> Tensor:
    """Return the unit vector from the target's centre to the point, shape (B, 3)."""
    u, v, w = summary.point.unbind(dim=1)
    phi, radius = v / REFERENCE_RADIUS, w + REFERENCE_RADIUS
    vector = torch.stack([-radius * torch.cos(phi), radius * torch.sin(phi), u], dim=1)
    return vector / vector.square().sum(dim=1, keepdim=True).sqrt()


def _angle(summary: EventSummary) -> Anchor:
    u, v, w = summary.point.unbind(dim=1)
    theta = 90.0 - torch.rad2deg(torch.atan(u / (w + REFERENCE_RADIUS)))
    angles = torch.stack([theta, torch.rad2deg(v / REFERENCE_RADIUS)], dim=1)
    return Anchor(angles, number_row([1.0, 1.0], angles))


def _vector(summary: EventSummary) -> Anchor:
    vector = _direction(summary)
    return Anchor(vector, number_row([0.02, 0.02, 0.02], vector))


ANCHORS: Final[dict[str, Callable[[EventSummary], Anchor]]] = {
    "angle": _angle,
    "energy": _energy,
    "timing": _timing,
    "uvwFI": _position,
    "angleVec": _vector,
}
"""By task; a task without one is learnt as it is."""
