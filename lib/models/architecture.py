"""The shapes of the encoder in words, for the documentation."""

from lib.geometry.hex_grid import NUM_STAGGERED
from lib.geometry.sensors import STAGGERED_ROWS
from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder
from lib.models.face_networks import HEX_POOLED_COLUMNS, POOLED_SHAPE, RectangularNetwork


def shape_table(encoder: Encoder, config: EncoderConfig) -> str:
    """Return a Markdown table of the shape (H x W x channels) of each face after each stage.

    Args:
        encoder: The encoder.
        config: The settings it was built from.
    """
    num_stages = len(config.stage_dims)
    lines = [
        "| face | " + " | ".join(f"stage {stage + 1}" for stage in range(num_stages)) + " | averaged | token |",
        "|---|" + "---|" * (num_stages + 2),
    ]
    for name, face in encoder.faces.items():
        network = face.network
        if isinstance(network, RectangularNetwork):
            grids = [f"{height} x {width}" for height, width in network.grids]
            pooled = f"{POOLED_SHAPE[0]} x {POOLED_SHAPE[1]}"
        else:
            grids = [str(NUM_STAGGERED)] * num_stages
            pooled = f"{len(STAGGERED_ROWS)} x {HEX_POOLED_COLUMNS}"
        cells = [f"{grid} x {dim}" for grid, dim in zip(grids, config.stage_dims, strict=True)]
        cells += [f"{pooled} x {config.stage_dims[-1]}", str(config.encoder_dim)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
