"""What a physicist would compute of an event by hand: sums, centroids, a rough point, a mean time."""

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.data.normalization import Normalization
from lib.geometry.sensors import NUM_FACES, nominal_sensors
from lib.models.arrival import NUM_GROUPS, Arrival, ArrivalTimes
from lib.models.photons import FilledPhotons
from lib.models.point_fit import NUM_FIT_FEATURES, FittedPoint, PointFit
from lib.models.rough_point import RoughPoint, lit_sensors, to_xyz
from lib.models.window import BrightestWindow, Window

NUM_FACE_FEATURES: Final = NUM_FACES * 7 + 1
NUM_WINDOW_FEATURES: Final = 9
NUM_TIME_FEATURES: Final = 2 * NUM_GROUPS + 1
NUM_SUMMARY_FEATURES: Final = NUM_FACE_FEATURES + NUM_WINDOW_FEATURES + NUM_TIME_FEATURES + 2

_NS_PER_S: Final = 1e9
_CENTIMETRES: Final = 20.0
_LOG_PHOTONS: Final = 13.0
_MAX_OFFSET: Final = 5.0
# A face that sees less sees its noise, which has no place; and what is left of cancelling photons must not set one.
_FAINT: Final = 100.0
_NUM_PORTIONS: Final = 68


class EventSummary(NamedTuple):
    """An event in a few numbers.

    Attributes:
        features: Of order one, shape (B, P).
        photons: Sum over all sensors, shape (B, 1).
        uvw: Rough point in cm, shape (B, 3).
        time: Mean time of the light's start, s, shape (B, 1).
        window: The window around the brightest place.
        image: Photons, flag of a measured count, and time residual in ns of the window's pixels, (B, side^2, 3).
        fitted: The point that was fitted to the window; None where that was not asked for.
    """

    features: Tensor
    photons: Tensor
    uvw: Tensor
    time: Tensor
    window: Window
    image: Tensor
    fitted: FittedPoint | None

    @property
    def point(self) -> Tensor:
        """The best point that is known, in cm, shape (B, 3)."""
        return self.uvw if self.fitted is None else self.fitted.uvw


class Summarizer(nn.Module):
    """Computes the summary of events; has no weights.

    Attributes:
        num_features: How many features it has.

    Args:
        side: Side of the window around the brightest place, in sensors.
        normalization: The transform that made the inputs.
        fit: Fit a point source to the window.
    """

    moments: Tensor

    def __init__(self, side: int, normalization: Normalization, *, fit: bool = False) -> None:
        super().__init__()
        self.num_features = NUM_SUMMARY_FEATURES + (NUM_FIT_FEATURES if fit else 0)
        self.normalization = normalization
        self.photons = FilledPhotons(normalization)
        self.window = BrightestWindow(side)
        self.point = RoughPoint(side)
        self.fit = PointFit(side) if fit else None
        self.arrival = ArrivalTimes()
        self.register_buffer("moments", face_moments().unflatten(0, (_NUM_PORTIONS, -1)), persistent=False)

    def forward(self, x: Tensor, valid: Tensor) -> EventSummary:
        """Return the summary of x and valid, both of shape (B, 4760, 2); finite for every input."""
        photons = self.photons(x, valid)
        window = self.window(photons)
        spot = window.gather(photons)
        measured = window.gather(valid[..., 0].to(photons.dtype))
        uvw = self.point(spot, window)
        fitted = None if self.fit is None else self.fit(spot, measured, uvw, window)
        timed = valid[..., 1]
        time_ns = self.normalization.inverse_time(torch.where(timed, x[..., 1], 0.0)) * _NS_PER_S
        arrival = self.arrival(photons, time_ns, timed, to_xyz(uvw if fitted is None else fitted.uvw), window)
        total = photons.sum(dim=1, keepdim=True).clamp_min(1.0)
        shares = torch.stack([valid[..., kind].to(photons.dtype).mean(dim=1) for kind in (0, 1)], dim=1)
        features = [self._face_features(photons, total), _window_features(spot, total, uvw, window)]
        features += [_time_features(arrival), shares]
        if fitted is not None:
            features.append(fitted.features(window))
        return EventSummary(
            features=torch.cat(features, dim=1),
            photons=total,
            uvw=uvw,
            time=arrival.mean / _NS_PER_S,
            window=window,
            image=torch.stack([spot, measured, arrival.residuals], dim=2),
            fitted=fitted,
        )

    def _face_features(self, photons: Tensor, total: Tensor) -> Tensor:
        """Return the logarithms of sum and shares, and centroid and variance of the light on each face, (B, 43)."""
        # In portions: thousands of like numbers added one by one lose the fifth digit in float32.
        portions = photons.unflatten(1, (_NUM_PORTIONS, -1)).transpose(0, 1)  # (B, 4760) -> (68, B, 70)
        moments = torch.matmul(portions, self.moments).sum(dim=0).unflatten(1, (NUM_FACES, 7))
        face = moments[..., 0].clamp_min(_FAINT)
        centroid, square = (moments[..., 1:] / face[..., None]).split(3, dim=2)
        # The variance and not its root, whose slope near zero would make much of the last bit.
        variance = (square - centroid.square()).clamp_min(0.0)
        place = torch.cat([centroid, variance], dim=2).flatten(1)
        return torch.cat([torch.log(total) - _LOG_PHOTONS, torch.log(face / total) + 2.0, place], dim=1)


def face_moments() -> Tensor:
    """Return what sums photons, and photons times positions and their squares, over each face: shape (4760, 42).

    Positions are relative to the face's centre, in units of 20 cm.
    """
    table = nominal_sensors()
    faces = functional.one_hot(torch.tensor(table.face_codes).long(), NUM_FACES).double()
    positions = torch.tensor(table.positions)
    centres = (faces.T @ positions) / faces.sum(dim=0)[:, None]
    place = (positions - faces @ centres) / _CENTIMETRES
    terms = torch.cat([torch.ones_like(place[:, :1]), place, place.square()], dim=1)  # (4760, 7)
    return (faces[:, :, None] * terms[:, None]).flatten(1).float()


def _window_features(spot: Tensor, total: Tensor, uvw: Tensor, window: Window) -> Tensor:
    inside = spot.sum(dim=1, keepdim=True).clamp_min(1.0)
    widest = torch.log(lit_sensors(spot).clamp_min(1.0))[:, None]
    brightest = spot.amax(dim=1, keepdim=True).clamp_min(1.0)
    u, v, w = uvw.split(1, dim=1)
    light = [torch.log(inside / total) + 1.0, torch.log(brightest / inside) + 3.0, widest - 3.0]
    # The edge of the face cuts the window: the network must know by how much.
    place = [u / 24.0, v / 68.0, torch.log(w) - 1.0, w / 10.0, uvw[:, :2] - window.uv]
    return torch.cat([*light, *place], dim=1)


def _time_features(arrival: Arrival) -> Tensor:
    offsets = arrival.group_offsets.clamp(-_MAX_OFFSET, _MAX_OFFSET) * 2.0
    weights = torch.log1p(arrival.group_weights) * 0.2
    return torch.cat([offsets, weights, torch.log1p(arrival.chi_square)], dim=1)
