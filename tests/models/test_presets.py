"""A preset gives defaults, and what is written beside it wins."""

import pytest

from lib.config.document import parse_document
from lib.config.loading import validate
from lib.errors import ConfigError
from lib.models.config import EncoderConfig
from lib.models.presets import PRESETS


def check(text: str) -> EncoderConfig:
    return validate(EncoderConfig, parse_document(text, "model.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_what_it_names_and_nothing_else(name) -> None:
    settings = check(f"preset: {name}").model_dump()
    assert settings == EncoderConfig().model_dump() | dict(PRESETS[name]) | {"preset": name}


@pytest.mark.parametrize("name", PRESETS)
def test_explicit_settings_win_also_where_they_are_the_defaults(name) -> None:
    config = check(f"preset: {name}\nencoder_dim: 1024\nstage_dims: [8, 24]")
    assert (config.encoder_dim, config.stage_dims) == (1024, (8, 24))


@pytest.mark.parametrize("name", PRESETS)
def test_resolved_settings_pass_again_unchanged(name) -> None:
    resolved = check(f"preset: {name}\nnum_heads: 2").model_dump_json()
    assert EncoderConfig.model_validate_json(resolved).model_dump_json() == resolved


def test_the_base_is_the_default_size() -> None:
    config = EncoderConfig(preset="base")
    assert (config.encoder_dim, config.dim_feedforward, config.num_fusion_layers) == (1024, 4096, 2)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"preset.*'tiny', 'small', 'base' or 'large', got 'smal'"):
        check("preset: smal")
