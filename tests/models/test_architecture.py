"""The documented shapes are those of the code."""

from pathlib import Path

import pytest
import torch

from lib.models.architecture import shape_table
from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder
from lib.models.face_networks import RectangularNetwork
from lib.nn.convnext import ConvNextBlock

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.mark.parametrize("settings", [{}, {"outer_mode": "split", "outer_fine_pool": None}])
def test_the_document_shows_the_table_of_the_defaults(settings, normalization) -> None:
    config = EncoderConfig(**settings)
    assert shape_table(Encoder(config, normalization), config) in DOCUMENT.read_text(encoding="utf-8")


def test_the_table_says_what_the_blocks_see(tiny, normalization, events) -> None:
    encoder = Encoder(EncoderConfig(**tiny), normalization)
    features = encoder.features(*events)
    for face in encoder.faces.values():
        if not isinstance(face.network, RectangularNetwork):
            continue
        seen: list[tuple[int, ...]] = []
        for module in face.network.stages.modules():
            if isinstance(module, ConvNextBlock):
                module.register_forward_hook(lambda _, __, output, seen=seen: seen.append(tuple(output.shape[1:3])))
        with torch.no_grad():
            face(features)
        assert seen == face.network.grids
