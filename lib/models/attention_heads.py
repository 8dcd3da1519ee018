"""Heads of the inpainter that ask the nearest sensors, whatever face they are on."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import NUM_SENSORS, IndexArray, nominal_sensors
from lib.models.inpainting_heads import NUM_LOCAL_FEATURES
from lib.models.position import LENGTH_SCALE_CM
from lib.nn.transformer import attend

NUM_HEADS = 4
# Far below any score, and within the range of every type of floating-point number.
_UNSEEN = -1e4


def sensor_geometry() -> Tensor:
    """Return position in units of 50 cm and normal of each sensor, shape (4760, 6)."""
    table = nominal_sensors()
    geometry = np.concatenate([table.positions / LENGTH_SCALE_CM, table.normals], axis=1)
    return torch.as_tensor(geometry, dtype=torch.float32)


def relative_geometry(neighbours: IndexArray) -> Tensor:
    """Return direction to each neighbour, logarithm of its distance in cm, and cosine of the normals, (4760, k, 5)."""
    table = nominal_sensors()
    offsets = table.positions[neighbours] - table.positions[:, None]
    distance = np.linalg.norm(offsets, axis=-1, keepdims=True)
    cosine = (table.normals[neighbours] * table.normals[:, None]).sum(axis=-1, keepdims=True)
    return torch.as_tensor(np.concatenate([offsets / distance, np.log(distance), cosine], -1), dtype=torch.float32)


class NeighbourAttention(nn.Module):
    """Attention of each sensor to the measured ones among its nearest sensors.

    Args:
        dim: Width of a sensor's state; a multiple of the number of heads, four.
        num_neighbours: Sensors that each one asks.
    """

    neighbours: Tensor
    geometry: Tensor

    def __init__(self, dim: int, num_neighbours: int) -> None:
        super().__init__()
        nearest = nearest_sensors(nominal_sensors(), num_neighbours, same_face=False)
        self.num_neighbours = num_neighbours
        self.register_buffer("neighbours", torch.tensor(nearest.flatten()), persistent=False)
        self.register_buffer("geometry", relative_geometry(nearest), persistent=False)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.bias = nn.Linear(self.geometry.shape[-1], NUM_HEADS)
        self.project = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, sensors: Tensor, measured: Tensor) -> Tensor:
        """Return what each sensor hears from its neighbours, shape (B, 4760, dim).

        Args:
            queries: What asks, shape (B, 4760, dim).
            sensors: What answers, shape (B, 4760, dim).
            measured: 1 for sensors that may answer, shape (B, 4760, 1).
        """
        query = self.query(queries).unflatten(-1, (NUM_HEADS, -1))
        key, value = self._of_neighbours(self.key_value(sensors)).unflatten(-1, (2, NUM_HEADS, -1)).unbind(-3)
        scores = (query[:, :, None] * key).sum(dim=-1) * query.shape[-1] ** -0.5  # (B, N, k, heads)
        scores = scores + self.bias(self.geometry) + (1.0 - self._of_neighbours(measured)) * _UNSEEN
        heard = (scores.softmax(dim=2)[..., None] * value).sum(dim=2)
        return self.project(heard.flatten(2))

    def _of_neighbours(self, values: Tensor) -> Tensor:
        """Gather the values of each sensor's neighbours, (B, 4760, C) -> (B, 4760, k, C)."""
        return values.index_select(1, self.neighbours).unflatten(1, (NUM_SENSORS, self.num_neighbours))


class TokenAttention(nn.Module):
    """Attention of each sensor to all tokens of the encoder.

    Args:
        dim: Width of a sensor's state.
        token_dim: Width of a token.
    """

    def __init__(self, dim: int, token_dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(token_dim, 2 * dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return what each sensor hears, shape (B, 4760, dim), for tokens of shape (B, T, token_dim)."""
        query = self.query(queries).unflatten(-1, (NUM_HEADS, -1)).transpose(1, 2)
        key, value = self.key_value(tokens).unflatten(-1, (2, NUM_HEADS, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        heard = attend(query, key, value)
        return self.project(heard.transpose(1, 2).flatten(2))


class AttentionBlock(nn.Module):
    """Neighbours, then tokens if they are asked, then a feed-forward network; each a residual.

    Args:
        dim: Width of a sensor's state.
        num_neighbours: Sensors that each one asks.
        token_dim: Width of a token; None asks no tokens.
    """

    def __init__(self, dim: int, num_neighbours: int, token_dim: int | None) -> None:
        super().__init__()
        self.neighbour_norm = nn.LayerNorm(dim)
        self.neighbours = NeighbourAttention(dim, num_neighbours)
        self.tokens = None if token_dim is None else TokenAttention(dim, token_dim)
        self.token_norm = None if token_dim is None else nn.LayerNorm(dim)
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 2 * dim)
        self.project = nn.Linear(2 * dim, dim)

    def forward(self, state: Tensor, sensors: Tensor, measured: Tensor, tokens: Tensor) -> Tensor:
        """Return the new states of the sensors, shape (B, 4760, dim)."""
        state = state + self.neighbours(self.neighbour_norm(state), sensors, measured)
        if self.tokens is not None and self.token_norm is not None:
            state = state + self.tokens(self.token_norm(state), tokens)
        return state + self.project(functional.gelu(self.expand(self.norm(state))))


class AttentionHead(nn.Module):
    """Restores every sensor from its nearest measured ones on all faces, and from the encoder.

    With ``asks_tokens``, a sensor starts as its position alone and asks neighbours and tokens. Without, it starts with
    its own features, too, which tell living from dead, and all sensors hear the same of the event.

    Args:
        token_dim: Width of a token.
        num_tokens: Tokens of an event.
        dim: Width of a sensor's state; a multiple of four.
        depth: Blocks.
        num_neighbours: Sensors that each one asks.
        num_channels: Numbers predicted per sensor.
        asks_tokens: Whether sensors attend to the tokens.
    """

    geometry: Tensor

    def __init__(
        self,
        token_dim: int,
        num_tokens: int,
        *,
        dim: int,
        depth: int,
        num_neighbours: int,
        num_channels: int,
        asks_tokens: bool,
    ) -> None:
        super().__init__()
        self.asks_tokens = asks_tokens
        self.register_buffer("geometry", sensor_geometry(), persistent=False)
        self.position = nn.Linear(self.geometry.shape[-1], dim)
        self.lift = nn.Linear(NUM_LOCAL_FEATURES, dim)
        self.sensor_norm = nn.LayerNorm(dim)
        self.event = None if asks_tokens else nn.Linear(num_tokens * token_dim, dim)
        self.blocks = nn.ModuleList(
            AttentionBlock(dim, num_neighbours, token_dim if asks_tokens else None) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, num_channels)

    def forward(self, features: Tensor, measured: Tensor, tokens: Tensor) -> Tensor:
        """Return corrections of shape (B, 4760, C).

        Args:
            features: Of each sensor, shape (B, 4760, 6).
            measured: 1 for sensors with a photon count, shape (B, 4760, 1).
            tokens: Of the encoder, shape (B, T, D).
        """
        position = self.position(self.geometry)
        sensors = self.sensor_norm(self.lift(features) + position)
        state = position.expand_as(sensors)
        if self.event is not None:
            state = sensors + self.event(tokens.flatten(1))[:, None]
        for block in self.blocks:
            state = block(state, sensors, measured, tokens)
        return self.out(self.norm(state))
