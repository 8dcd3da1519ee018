"""From predictions per face back to one list of sensors."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lib.geometry.sensors import OUTER_COARSE_IDS

NUM_COARSE = OUTER_COARSE_IDS[1] - OUTER_COARSE_IDS[0]


def in_sensor_order(faces: Mapping[str, Tensor]) -> Tensor:
    """Join the six faces in the order of sensor ids.

    Args:
        faces: By name of the face, sensors by ascending id, shape (B, sensors of the face, C).

    Returns:
        Shape (B, 4760, C).
    """
    # The ids of each face are one range, but for the outer one, whose dense patch comes last of all.
    outer = faces["outer"]
    parts = [faces["inner"], outer[:, :NUM_COARSE], faces["us"], faces["ds"], faces["top"], faces["bottom"]]
    return torch.cat([*parts, outer[:, NUM_COARSE:]], dim=1)
