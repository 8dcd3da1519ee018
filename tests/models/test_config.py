"""Impossible architectures must be refused when the configuration is read, with the place of the fault."""

import pytest

from lib.config.document import parse_document
from lib.config.loading import validate
from lib.errors import ConfigError
from lib.models.config import EncoderConfig


def check(text: str) -> EncoderConfig:
    return validate(EncoderConfig, parse_document(text, "model.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outer_fine_pool: [0, 3]", "outer_fine_pool must divide"),
        ("outer_fine_pool: [-3, 3]", "outer_fine_pool must divide"),
        ("stage_dims: [0, 64]", "must be at least 1"),
        ("stage_depths: [2, -1]", "of stage_depths at least 0"),
        ("point_fit: true\nfovea_side: 0", "point_fit fits the light in the fovea's window; set fovea_side"),
        ("outer_fine_pool: [2, 3]", "outer_fine_pool must divide the 45 x 72 fine grid"),
        ("encoder_dim: 100\nnum_heads: 7", r"encoder_dim must be a multiple of num_heads \(7\)"),
        ("stage_dims: [32]", "stage_dims and stage_depths must have the same length"),
        ("stage_dims: []\nstage_depths: []", "must have the same length, at least 1"),
        ("outer_mode: split\nouter_fine_pool: [3, 3]", "outer_fine_pool belongs to outer_mode finegrid"),
    ],
)
def test_an_impossible_encoder_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(text)


@pytest.mark.parametrize("pool", ["[1, 1]", "[5, 3]", "[45, 72]", "null"])
def test_every_pool_that_divides_the_fine_grid_is_accepted(pool: str) -> None:
    expected = None if pool == "null" else tuple(int(size) for size in pool.strip("[]").split(","))
    assert check(f"outer_fine_pool: {pool}").outer_fine_pool == expected


def test_the_split_mode_needs_no_word_about_the_pool() -> None:
    assert check("outer_mode: split").outer_fine_pool is None
