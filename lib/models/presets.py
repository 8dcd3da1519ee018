"""Sizes of the encoder under one name."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

PresetName: TypeAlias = Literal["tiny", "small", "base", "large"]

PRESETS: Final[Mapping[PresetName, Mapping[str, int | tuple[int, ...]]]] = {
    "tiny": {
        "stage_dims": (16, 32),
        "stage_depths": (1, 2),
        "encoder_dim": 128,
        "num_heads": 4,
        "dim_feedforward": 256,
        "num_fusion_layers": 1,
        "fovea_dims": (16, 32),
    },
    "small": {"encoder_dim": 256, "num_heads": 8, "dim_feedforward": 1024},
    # What the fields of the configuration have by themselves.
    "base": {},
    "large": {
        "stage_dims": (48, 96),
        "stage_depths": (3, 6),
        "encoder_dim": 1536,
        "num_heads": 16,
        "dim_feedforward": 6144,
        "num_fusion_layers": 4,
        "fovea_dims": (48, 96),
    },
}
"""What each preset sets; settings that it does not name keep their defaults."""
