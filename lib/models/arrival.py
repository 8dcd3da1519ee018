"""The time of the photon from the times of all sensors, inside the network's graph."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.baselines.timing_mean import CONSTANT, MPPC_EFFICIENCY, PMT_EFFICIENCY, SLOWNESS, STATISTICS, WALK
from lib.geometry.sensors import NUM_FACES, nominal_sensors
from lib.models.window import Window

NUM_GROUPS = NUM_FACES + 1
"""Six faces and the window."""
_MAX_DEVIATION = 5.0
_MIN_PHOTOELECTRONS = 5.0
# Any measured time is far nearer; what a broken file may say must not overflow the sums of squares.
_LATEST_NS = 1e4
_TINY = 1e-6


class Arrival(NamedTuple):
    """What the times say.

    Attributes:
        mean: Weighted mean over all sensors, ns, shape (B, 1); 0 without any time.
        group_offsets: Mean of each group less that of all, ns, shape (B, 7).
        group_weights: Sum of inverse variances of each group, 1/ns^2, shape (B, 7).
        chi_square: Per sensor, shape (B, 1).
        residuals: Of the window's pixels, ns, 0 without a time, shape (B, side * side).
    """

    mean: Tensor
    group_offsets: Tensor
    group_weights: Tensor
    chi_square: Tensor
    residuals: Tensor


class ArrivalTimes(nn.Module):
    """Averages the times of the sensors less the light's way from a point, each by its inverse variance.

    What ``lib.baselines.timing_mean`` does, once more in tensors; sensors that another photon reached first lose their
    weight once, and gradually.
    """

    positions: Tensor
    efficiency: Tensor
    face_of: Tensor

    def __init__(self) -> None:
        super().__init__()
        table = nominal_sensors()
        positions = torch.tensor(table.positions, dtype=torch.float32)
        efficiency = torch.where(torch.tensor(table.is_mppc), MPPC_EFFICIENCY, PMT_EFFICIENCY)
        faces = functional.one_hot(torch.tensor(table.face_codes).long(), NUM_FACES)
        self.register_buffer("positions", positions, persistent=False)
        self.register_buffer("efficiency", efficiency.float(), persistent=False)
        self.register_buffer("face_of", faces.float(), persistent=False)

    def forward(self, photons: Tensor, time_ns: Tensor, timed: Tensor, xyz: Tensor, window: Window) -> Arrival:
        """Return what the times say.

        Args:
            photons: Shape (B, 4760).
            time_ns: Shape (B, 4760); finite.
            timed: True where there is a time, shape (B, 4760).
            xyz: Where the light comes from, cm, shape (B, 3).
            window: The window.
        """
        inverse = 1.0 / (photons * self.efficiency).clamp_min(_MIN_PHOTOELECTRONS)
        variance = STATISTICS**2 * inverse + CONSTANT**2
        start = time_ns.clamp(-_LATEST_NS, _LATEST_NS) - SLOWNESS * self._distances(xyz) - WALK * inverse.sqrt()
        weight = torch.where(timed, 1.0 / variance, 0.0)
        # The mean of numbers near zero is exact to 1e-6 ns, that of the times only to 1e-5: and the last bit of the
        # weights depends on it.
        first_mean = _mean(start, weight)
        correction = _mean(start - first_mean, weight)
        deviation = start - first_mean - correction
        weight = weight * _nearness(deviation.square() / variance)
        shift = _mean(deviation, weight)
        residual = torch.where(timed, deviation - shift, 0.0)
        weighted = weight * residual
        by_face = torch.matmul(torch.stack([weighted, weight], dim=1), self.face_of)
        in_window = torch.stack([window.gather(weighted).sum(dim=1), window.gather(weight).sum(dim=1)], dim=1)
        sums, weights = torch.cat([by_face, in_window[..., None]], dim=2).unbind(dim=1)
        num_timed = timed.to(weight.dtype).sum(dim=1, keepdim=True)
        chi_square = (weighted * residual).sum(dim=1, keepdim=True) / num_timed.clamp_min(1.0)
        return Arrival(
            mean=first_mean + correction + shift,
            group_offsets=sums / weights.clamp_min(_TINY),
            group_weights=weights,
            chi_square=chi_square,
            residuals=window.gather(residual),
        )

    def _distances(self, xyz: Tensor) -> Tensor:
        """Return the distance of each sensor from the points, cm, shape (B, 4760)."""
        # Not |a|^2 + |b|^2 - 2ab, which in float32 is wrong by 2 um next to a sensor: enough to move the last bits.
        offsets = [point[:, None] - axis for point, axis in zip(xyz.unbind(1), self.positions.unbind(1), strict=True)]
        squares = offsets[0].square() + offsets[1].square() + offsets[2].square()
        return squares.clamp_min(0.01).sqrt()


def _nearness(chi_square: Tensor) -> Tensor:
    """Return 1 for sensors near the mean, half at five standard deviations, nearly 0 far away.

    A sharp cut would let one sensor at its edge, in by the last bit or out, change the predictions: by more than an
    exported model may differ.
    """
    return 1.0 / (1.0 + (chi_square / _MAX_DEVIATION**2).square().square())


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over sensors, shape (B, 1)."""
    return (values * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp_min(_TINY)
