"""What each sensor sees of an event, from where the light comes: solid angles first, then a small network."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.geometry.sensors import MPPC_CHIP_WIDTH, NUM_MPPC, NUM_SENSORS, PMT_RADIUS, nominal_sensors
from lib.models.event_summary import EventSummary
from lib.models.position import LENGTH_SCALE_CM
from lib.models.rough_point import DEPTHS, to_xyz

NUM_WAY_FEATURES = 4
_SOURCE_FEATURES = 4
PMT_NETWORK_FACTOR = 2
"""How many times as wide as those of MPPCs the networks of PMTs are: these are few, and lie on five faces."""
# How far the encoder may move the rough point: across in cm, and in the logarithm of the depth.
_ACROSS, _LOG_DEPTH = 3.0, 1.0
_LIGHT_PATH = 39.0  # cm; absorption and scattering together, as in the conventional fit
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
    """The light of one source whose place the encoder corrects, times what networks say of each sensor.

    The networks stand for all that one point leaves out: the length of a shower, scattering, reflection. Beside them
    each sensor has a gain of its own, the residual error of its calibration.

    Args:
        token_shape: Tokens of an event, and width of each.
        dim: Width of the networks.
        depth: Hidden layers.
    """

    positions: Tensor
    normals: Tensor
    area: Tensor

    def __init__(self, token_shape: tuple[int, int], *, dim: int, depth: int) -> None:
        super().__init__()
        table = nominal_sensors()
        area = np.where(table.is_mppc, 4 * MPPC_CHIP_WIDTH**2, np.pi * PMT_RADIUS**2)
        self.register_buffer("positions", torch.tensor(table.positions, dtype=torch.float32), persistent=False)
        self.register_buffer("normals", torch.tensor(table.normals, dtype=torch.float32), persistent=False)
        self.register_buffer("area", torch.as_tensor(area, dtype=torch.float32), persistent=False)
        self.event_dim = dim + _SOURCE_FEATURES
        self.event = nn.Linear(token_shape[0] * token_shape[1], dim)
        self.shift = nn.Linear(dim, 3)
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
        uvw = self._source(summary.uvw, self.shift(event))
        way = self._way(to_xyz(uvw))
        known = torch.cat([event, uvw[:, :2] / LENGTH_SCALE_CM, torch.log(uvw[:, 2:]), uvw[:, 2:] / 20.0], dim=1)
        said = [self.inner(way[..., :NUM_MPPC], known), self.pmts(way[..., NUM_MPPC:], known)]
        correction = torch.cat(said, dim=2)[:, 0] + self.log_gain
        log_photons = torch.log(summary.photons) + way[:, 0] * 3.0 + correction
        return Field(log_photons.clamp(_LEAST_LOG, _MOST_LOG), way), known

    @staticmethod
    def _source(rough: Tensor, shift: Tensor) -> Tensor:
        """Return u, v, w in cm, shape (B, 3): the rough point moved by what the encoder says, within bounds."""
        across = rough[:, :2] + _ACROSS * torch.tanh(shift[:, :2])
        depth = rough[:, 2:] * torch.exp(_LOG_DEPTH * torch.tanh(shift[:, 2:]))
        return torch.cat([across, depth.clamp(*DEPTHS)], dim=1)

    def _way(self, xyz: Tensor) -> Tensor:
        offsets = [point[:, None] - axis for point, axis in zip(xyz.unbind(1), self.positions.unbind(1), strict=True)]
        normal = self.normals.unbind(1)
        square = offsets[0].square() + offsets[1].square() + offsets[2].square()
        height = (offsets[0] * normal[0] + offsets[1] * normal[1] + offsets[2] * normal[2]).abs().clamp_min(0.1)
        # A sensor's own size bounds the distance, so that no solid angle exceeds half the sphere.
        log_distance = 0.5 * torch.log(square + self.area / torch.pi)
        distance = torch.exp(log_distance)
        log_angle = torch.log(self.area * height / (4.0 * torch.pi)) - 3.0 * log_distance - distance / _LIGHT_PATH
        return torch.stack([log_angle / 3.0, log_distance - 3.0, torch.log(height) - 2.0, height / distance], dim=1)
