"""In which order the layers of a model lie."""

from lib.models.config import MaeModelConfig, RegressorModelConfig
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor


def test_levels_rise_from_the_faces_to_the_heads(tiny, normalization) -> None:
    config = RegressorModelConfig(**tiny | {"num_fusion_layers": 2})
    levels = Regressor(config, {"energy": 1}, normalization).layer_levels()
    expected = {"faces": 0, "fovea": 0, "position": 0, "embed_summary": 0, "fusion.0": 1, "fusion.1": 2, "norm": 2}
    for part, level in expected.items():
        assert {found for name, found in levels.items() if name.startswith(f"encoder.{part}.")} == {level}
    assert {found for name, found in levels.items() if not name.startswith("encoder.")} == {3}


def test_every_parameter_has_a_level(tiny, normalization) -> None:
    model = MaskedAutoencoder(MaeModelConfig(**tiny | {"num_fusion_layers": 0}, decoder_dim=8), normalization)
    levels = model.layer_levels()
    assert levels.keys() == {name for name, _ in model.named_parameters()}
    assert set(levels.values()) == {0, 1, 2}
