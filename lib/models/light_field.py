"""What each sensor sees of an event, from where the light comes: solid angles first, then a small network."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.baselines.position_fit import LIGHT_PATH
from lib.geometry.sensors import MPPC_CHIP_WIDTH, NUM_MPPC, NUM_SENSORS, PMT_RADIUS, nominal_sensors
from lib.models.event_summary import EventSummary
from lib.models.position import LENGTH_SCALE_CM
from lib.models.rough_point import DEPTHS, to_xyz

NUM_WAY_FEATURES = 4
_SOURCE_FEATURES = 4
_SOURCE_NUMBERS = 4
"""What is said of a point: its way across, the logarithms of depth and of light."""
PMT_NETWORK_FACTOR = 2
"""How many times as wide as those of MPPCs the networks of PMTs are: these are few, and lie on five faces."""
# How far the encoder may move the rough point: across in cm, and in the logarithm of the depth.
_ACROSS, _LOG_DEPTH = 3.0, 1.0
# The same for the further points, which stand for the length of the shower and for what flies out of it.
_FURTHER_ACROSS, _FURTHER_LOG_DEPTH = 15.0, 2.0
_DEEPEST = 40.0
_START_LOG_DEPTH, _START_LOG_LIGHT = 1.0, -2.0
_LEAST_LOG, _MOST_LOG = -7.0, 14.0


class Field(NamedTuple):
    """The light of events, before it is compared with what was measured.

    Attributes:
        log_photons: Logarithm of the photons that each sensor is to see, shape (B, 4760).
        way: From the source to each sensor, of order one, shape (B, 4, 4760): logarithms of solid angle, distance and
            height, and the cosine of incidence.
    """

    log_photons: Tensor
    way: Tensor


class SensorNetwork(nn.Module):
    """A perceptron that every sensor runs on its own features, with what all share and where each is.

    Sensors are the last axis: thousands of them side by side make large matrix products of narrow layers.

    Args:
        in_dim: Features of a sensor.
        event_dim: Features of the event.
        place: Fixed features of the sensors, shape (P, N).
        dim: Width of the hidden layers.
        depth: Hidden layers.
        out_dim: Numbers of each sensor.
    """

    place: Tensor

    def __init__(self, in_dim: int, event_dim: int, place: Tensor, *, dim: int, depth: int, out_dim: int) -> None:
        super().__init__()
        self.register_buffer("place", place, persistent=False)
        self.of_sensor = nn.Linear(in_dim, dim, bias=False)
        self.of_event = nn.Linear(event_dim, dim)
        self.of_place = nn.Linear(len(place), dim, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth - 1))
        self.out = nn.Linear(dim, out_dim)

    def forward(self, features: Tensor, event: Tensor) -> Tensor:
        """Return shape (B, out_dim, N) for features (B, in_dim, N) and events (B, event_dim)."""
        shared = self.of_event(event)[..., None] + torch.matmul(self.of_place.weight, self.place)
        x = functional.relu(_product(self.of_sensor.weight, features) + shared)
        for layer in self.hidden:
            x = x + functional.relu(_over_sensors(layer, x))
        return _over_sensors(self.out, x)


def _over_sensors(layer: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.Linear)
    return _product(layer.weight, x) + layer.bias[:, None]


def _product(weight: Tensor, x: Tensor) -> Tensor:
    """Return the products of a matrix (D, C) with matrices (B, C, N); ``matmul`` would transpose and copy them all."""
    # Not len(x): the exporter would take it for a constant.
    return torch.bmm(weight.expand(x.shape[0], -1, -1), x)


def sensor_places() -> Tensor:
    """Return position in units of 50 cm, its squares, the normal, and whether it is an MPPC, shape (10, 4760)."""
    table = nominal_sensors()
    position = table.positions / LENGTH_SCALE_CM
    columns = [position, position**2, table.normals, table.is_mppc[:, None]]
    return torch.as_tensor(np.concatenate(columns, axis=1).T.copy(), dtype=torch.float32)


class LightField(nn.Module):
    """The light of points whose places the encoder corrects, times what networks say of each sensor.

    The first point stays near the rough one; the others share the light with it where a shower is long, or where a
    photon from it deposits its energy elsewhere. The networks stand for all that points leave out: scattering,
    reflection. Beside them each sensor has a gain of its own, the residual error of its calibration.

    Args:
        token_shape: Tokens of an event, and width of each.
        dim: Width of the networks.
        depth: Hidden layers.
        num_points: Points from which the light comes.
    """

    positions: Tensor
    normals: Tensor
    area: Tensor
    start: Tensor

    def __init__(self, token_shape: tuple[int, int], *, dim: int, depth: int, num_points: int = 1) -> None:
        super().__init__()
        self.num_points = num_points
        table = nominal_sensors()
        area = np.where(table.is_mppc, 4 * MPPC_CHIP_WIDTH**2, np.pi * PMT_RADIUS**2)
        self.register_buffer("positions", torch.tensor(table.positions, dtype=torch.float32), persistent=False)
        self.register_buffer("normals", torch.tensor(table.normals, dtype=torch.float32), persistent=False)
        self.register_buffer("area", torch.as_tensor(area, dtype=torch.float32), persistent=False)
        self.register_buffer("start", _first_points(num_points), persistent=False)
        self.event_dim = dim + _SOURCE_FEATURES
        self.event = nn.Linear(token_shape[0] * token_shape[1], dim)
        self.shift = nn.Linear(dim, _SOURCE_NUMBERS * num_points)
        places = sensor_places()
        self.inner = SensorNetwork(
            NUM_WAY_FEATURES, self.event_dim, places[:, :NUM_MPPC], dim=dim, depth=depth, out_dim=1
        )
        self.pmts = SensorNetwork(
            NUM_WAY_FEATURES, self.event_dim, places[:, NUM_MPPC:], dim=PMT_NETWORK_FACTOR * dim, depth=depth, out_dim=1
        )
        self.log_gain = nn.Parameter(torch.zeros(NUM_SENSORS))

    def forward(self, summary: EventSummary, tokens: Tensor) -> tuple[Field, Tensor]:
        """Return the field, and what is known of the event, shape (B, dim + 4), from tokens of shape (B, T, D)."""
        event = functional.gelu(self.event(tokens.flatten(1)))
        said = self.shift(event).unflatten(1, (self.num_points, _SOURCE_NUMBERS)) + self.start
        uvw = self._source(summary.uvw, said[:, 0])
        way = self._way(to_xyz(uvw))
        if self.num_points > 1:
            way = self._with_further(way, summary.uvw, said)
        known = torch.cat([event, uvw[:, :2] / LENGTH_SCALE_CM, torch.log(uvw[:, 2:]), uvw[:, 2:] / 20.0], dim=1)
        corrections = [self.inner(way[..., :NUM_MPPC], known), self.pmts(way[..., NUM_MPPC:], known)]
        correction = torch.cat(corrections, dim=2)[:, 0] + self.log_gain
        log_photons = torch.log(summary.photons) + way[:, 0] * 3.0 + correction
        return Field(log_photons.clamp(_LEAST_LOG, _MOST_LOG), way), known

    def _with_further(self, way: Tensor, rough: Tensor, said: Tensor) -> Tensor:
        """Return the way from the first point, its solid angle replaced by that of all points, shape (B, 4, 4760)."""
        share = said[..., 3].log_softmax(dim=1)
        angles = [way[:, 0] * 3.0 + share[:, :1]]
        for number in range(1, self.num_points):
            point = to_xyz(self._further_source(rough, said[:, number]))
            angles.append(self._log_angle(*self._distances(point)) + share[:, number, None])
        return torch.cat([torch.logsumexp(torch.stack(angles), dim=0)[:, None] / 3.0, way[:, 1:]], dim=1)

    @staticmethod
    def _source(rough: Tensor, shift: Tensor) -> Tensor:
        """Return u, v, w in cm, shape (B, 3): the rough point moved by what the encoder says, within bounds."""
        across = rough[:, :2] + _ACROSS * torch.tanh(shift[:, :2])
        depth = rough[:, 2:] * torch.exp(_LOG_DEPTH * torch.tanh(shift[:, 2:3]))
        return torch.cat([across, depth.clamp(*DEPTHS)], dim=1)

    @staticmethod
    def _further_source(rough: Tensor, shift: Tensor) -> Tensor:
        """Return u, v, w of a further point; it may lie anywhere in the detector."""
        across = rough[:, :2] + _FURTHER_ACROSS * torch.tanh(shift[:, :2] * (_ACROSS / _FURTHER_ACROSS))
        depth = rough[:, 2:] * torch.exp(_FURTHER_LOG_DEPTH * torch.tanh(shift[:, 2:3] / _FURTHER_LOG_DEPTH))
        return torch.cat([across, depth.clamp(DEPTHS[0], _DEEPEST)], dim=1)

    def _way(self, xyz: Tensor) -> Tensor:
        height, log_distance, distance = self._distances(xyz)
        log_angle = self._log_angle(height, log_distance, distance)
        return torch.stack([log_angle / 3.0, log_distance - 3.0, torch.log(height) - 2.0, height / distance], dim=1)

    def _distances(self, xyz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return height over each sensor, logarithm of the distance, and distance, cm, shape (B, 4760) each."""
        offsets = [point[:, None] - axis for point, axis in zip(xyz.unbind(1), self.positions.unbind(1), strict=True)]
        normal = self.normals.unbind(1)
        square = offsets[0].square() + offsets[1].square() + offsets[2].square()
        height = (offsets[0] * normal[0] + offsets[1] * normal[1] + offsets[2] * normal[2]).abs().clamp_min(0.1)
        # A sensor's own size bounds the distance, so that no solid angle exceeds half the sphere.
        log_distance = 0.5 * torch.log(square + self.area / torch.pi)
        return height, log_distance, torch.exp(log_distance)

    def _log_angle(self, height: Tensor, log_distance: Tensor, distance: Tensor) -> Tensor:
        """Return the logarithm of each sensor's share of the light, absorption included, shape (B, 4760)."""
        return torch.log(self.area * height / (4.0 * torch.pi)) - 3.0 * log_distance - distance / LIGHT_PATH


def _first_points(count: int) -> Tensor:
    """Return what is said of the points at first, shape (count, 4): a string in depth, and little light off the first.

    Points that start alike would learn alike.
    """
    start = torch.zeros(count, _SOURCE_NUMBERS)
    if count > 1:
        start[1:, 2] = torch.linspace(-_START_LOG_DEPTH, _START_LOG_DEPTH, count - 1) if count > 2 else _START_LOG_DEPTH
        start[1:, 3] = _START_LOG_LIGHT
    return start
