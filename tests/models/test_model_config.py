"""Impossible settings of the models are refused."""

import pytest
from pydantic import ValidationError

from lib.models.config import EncoderConfig, num_channels


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder_dim": 100, "num_heads": 8}, r"encoder_dim must be a multiple of num_heads \(8\)"),
        ({"stage_dims": (8, 16), "stage_depths": (1,)}, "stage_dims and stage_depths must have the same length"),
        ({"stage_dims": (), "stage_depths": ()}, "at least 1"),
        ({"outer_fine_pool": (4, 3)}, "outer_fine_pool must divide the 45 x 72 fine grid"),
        ({"outer_mode": "split", "outer_fine_pool": (3, 3)}, "outer_fine_pool belongs to outer_mode finegrid"),
    ],
)
def test_an_impossible_encoder_is_refused(settings, message) -> None:
    with pytest.raises(ValidationError, match=message):
        EncoderConfig(**settings)


def test_split_settings_pass_again_after_they_were_resolved() -> None:
    resolved = EncoderConfig(outer_mode="split").model_dump()
    assert EncoderConfig(**resolved).model_dump() == resolved


def test_predicted_channels_are_counted() -> None:
    assert (num_channels("npho"), num_channels("npho+time")) == (1, 2)
