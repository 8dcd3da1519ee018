"""Heads of the inpainter: what surrounds a sensor on its face, and what the encoder knows of the event."""

import torch
from torch import Tensor, nn

from lib.geometry.hex_grid import neighbour_table
from lib.geometry.outer_grid import outer_grid
from lib.models.face_networks import PositionalStem, hex_coordinates
from lib.models.outer_cells import GRID_SHAPE, cells_to_sensors, sensors_to_cells
from lib.models.sensor_inputs import RectangularImage, StaggeredSensors
from lib.nn.convnext import ConvNextBlock, PatchExpansion
from lib.nn.grn import PointwiseLayers
from lib.nn.hexnext import HexNextBlock

NUM_LOCAL_FEATURES = 6
"""The four features of a sensor, and the mean npho and time of its neighbours."""


INNER_PATCH = 2


class RectangularHead(nn.Module):
    """ConvNeXt blocks on the image of a face.

    The inner face is worked on in patches of 2 x 2 sensors: their 24 features fit into the channels, so that nothing
    is lost and a quarter of the positions is left.

    Args:
        face: ``inner``, ``us`` or ``ds``.
        event_dim: Width of what describes the event.
        dim: Channels.
        depth: Blocks.
        num_channels: Numbers predicted per sensor.
    """

    def __init__(self, face: str, event_dim: int, *, dim: int, depth: int, num_channels: int) -> None:
        super().__init__()
        self.gather = RectangularImage(face)
        patch = INNER_PATCH if face == "inner" else 1
        self.stem = PositionalStem(self.gather.shape, NUM_LOCAL_FEATURES, dim, patch)
        self.event = nn.Linear(event_dim, dim)
        self.blocks = nn.Sequential(*(ConvNextBlock(dim) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.out = PatchExpansion(dim, num_channels, patch, self.gather.shape)

    def forward(self, features: Tensor, event: Tensor) -> Tensor:
        """Return corrections of shape (B, H * W, C) for features (B, 4760, 6) and events (B, event_dim)."""
        x = self.stem(self.gather(features)) + self.event(event)[:, None, None]
        return self.out(self.norm(self.blocks(x))).flatten(1, 2)


class OuterHead(nn.Module):
    """ConvNeXt blocks on a grid over both lattices, joined with each sensor's own features.

    Args:
        event_dim: Width of what describes the event.
        dim: Channels.
        depth: Blocks.
        num_channels: Numbers predicted per sensor.
    """

    sensor_ids: Tensor
    to_cells: Tensor
    to_sensors: Tensor

    def __init__(self, event_dim: int, *, dim: int, depth: int, num_channels: int) -> None:
        super().__init__()
        self.register_buffer("sensor_ids", torch.as_tensor(outer_grid().covered_ids), persistent=False)
        self.register_buffer("to_cells", sensors_to_cells(), persistent=False)
        self.register_buffer("to_sensors", cells_to_sensors(), persistent=False)
        self.stem = PositionalStem(GRID_SHAPE, NUM_LOCAL_FEATURES, dim)
        self.event = nn.Linear(event_dim, dim)
        self.blocks = nn.Sequential(*(ConvNextBlock(dim) for _ in range(depth)))
        self.own = nn.Linear(NUM_LOCAL_FEATURES, dim)
        self.join = PointwiseLayers(dim)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, num_channels)

    def forward(self, features: Tensor, event: Tensor) -> Tensor:
        """Return corrections of shape (B, 234, C) for features (B, 4760, 6) and events (B, event_dim)."""
        sensors = features.index_select(1, self.sensor_ids)
        cells = self.stem(torch.matmul(self.to_cells, sensors).unflatten(1, GRID_SHAPE))
        context = self.blocks(cells + self.event(event)[:, None, None]).flatten(1, 2)
        x = torch.matmul(self.to_sensors, context) + self.own(sensors)
        return self.out(self.norm(x + self.join(x)))


class StaggeredHead(nn.Module):
    """HexNeXt blocks at the 73 sensors of a staggered face.

    Args:
        face: ``top`` or ``bottom``.
        event_dim: Width of what describes the event.
        dim: Channels.
        depth: Blocks.
        num_channels: Numbers predicted per sensor.
    """

    coordinates: Tensor

    def __init__(self, face: str, event_dim: int, *, dim: int, depth: int, num_channels: int) -> None:
        super().__init__()
        self.gather = StaggeredSensors(face)
        self.register_buffer("coordinates", hex_coordinates(), persistent=False)
        self.lift = nn.Linear(NUM_LOCAL_FEATURES, dim)
        self.position = nn.Linear(2, dim, bias=False)
        self.stem_norm = nn.LayerNorm(dim)
        self.event = nn.Linear(event_dim, dim)
        neighbours = torch.tensor(neighbour_table())
        self.blocks = nn.Sequential(*(HexNextBlock(dim, neighbours) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, num_channels)

    def forward(self, features: Tensor, event: Tensor) -> Tensor:
        """Return corrections of shape (B, 73, C) for features (B, 4760, 6) and events (B, event_dim)."""
        x = self.stem_norm(self.lift(self.gather(features)) + self.position(self.coordinates))
        return self.out(self.norm(self.blocks(x + self.event(event)[:, None])))
