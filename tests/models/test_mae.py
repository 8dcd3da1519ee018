"""The autoencoder predicts each sensor once, from the tokens of its face."""

import numpy as np
import pytest
import torch

from lib.geometry.faces import face_sensor_ids
from lib.geometry.sensors import FACE_NAMES
from lib.models.config import MaeModelConfig
from lib.models.mae import MaskedAutoencoder


@pytest.mark.parametrize(("predicted", "channels"), [("npho", 1), ("npho+time", 2)])
def test_every_sensor_gets_its_prediction(predicted, channels, tiny, normalization, events) -> None:
    model = MaskedAutoencoder(MaeModelConfig(**tiny, decoder_dim=8, predict_channels=predicted), normalization)
    assert model(*events, torch.rand(3, 4760) < 0.6).shape == (3, 4760, channels)


@pytest.mark.parametrize("face", FACE_NAMES)
def test_a_decoder_speaks_for_the_sensors_of_its_face(face, tiny, normalization, events) -> None:
    model = MaskedAutoencoder(MaeModelConfig(**tiny, decoder_dim=8), normalization).eval()
    hidden = torch.rand(3, 4760) < 0.6
    before = model(*events, hidden)
    with torch.no_grad():
        bias = [p for name, p in model.decoders[face].named_parameters() if name.startswith("out") and "bias" in name]
        bias[0].add_(1.0)
    moved = (model(*events, hidden) - before)[0].abs().amax(dim=-1) > 0.5
    np.testing.assert_array_equal(torch.nonzero(moved).flatten().numpy(), face_sensor_ids(FACE_NAMES.index(face)))


def test_decoder_dim_is_the_width_of_the_decoders(tiny, normalization) -> None:
    model = MaskedAutoencoder(MaeModelConfig(**tiny, decoder_dim=12), normalization)
    assert {decoder.norm.normalized_shape for decoder in model.decoders.values()} == {(12,)}
