"""What the surroundings of the brightest place say of the light there, at full resolution."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.models.window import Window


class LightWindow(nn.Module):
    """Convolutions over the window around the brightest place, where the light changes from sensor to sensor.

    Args:
        side: Side of the window, in sensors.
        in_dim: Features of a sensor.
        event_dim: Features of the event.
        dim: Width of the layers.
        depth: Residual layers.
    """

    def __init__(self, side: int, in_dim: int, event_dim: int, *, dim: int, depth: int) -> None:
        super().__init__()
        self.side = side
        self.stem = nn.Conv2d(in_dim, dim, 3, padding=1)
        self.of_event = nn.Linear(event_dim, dim)
        self.blocks = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in range(depth))
        self.out = nn.Linear(dim, 1)

    def forward(self, features: Tensor, window: Window, event: Tensor) -> Tensor:
        """Return a correction to the logarithm of the light of each MPPC, 0 outside the window, shape (B, 4092).

        Args:
            features: Of MPPCs, shape (B, C, 4092).
            window: Where it lies.
            event: Shape (B, event_dim).
        """
        ids = window.sensor_ids[:, None]
        inside = window.inside[:, None]
        image = torch.gather(features, 2, ids.expand(-1, features.shape[1], -1)) * inside
        x = functional.relu(
            self.stem(image.unflatten(2, (self.side, self.side))) + self.of_event(event)[..., None, None]
        )
        for block in self.blocks:
            x = x + functional.relu(block(x))
        said = (torch.matmul(self.out.weight, x.flatten(2))[:, 0] + self.out.bias) * window.inside
        # Pixels beyond the edge of the face share the nearest sensor's id, and add nothing to it.
        return torch.zeros_like(features[:, 0]).scatter_add(1, window.sensor_ids, said)
