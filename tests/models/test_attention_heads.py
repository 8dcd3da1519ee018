"""Heads that ask the nearest sensors."""

import pytest
import torch
from pydantic import ValidationError

from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import nominal_sensors
from lib.models.attention_heads import NeighbourAttention
from lib.models.config import InpainterModelConfig
from lib.models.inpainter import Inpainter

HEADS = ("masked_attention", "cross_attention")


def build(tiny, normalization, head_type: str, **settings) -> Inpainter:
    sizes = {"hidden_dim": 8, "head_depth": 1, "num_neighbours": 6} | settings
    return Inpainter(InpainterModelConfig(**tiny | sizes, head_type=head_type), normalization).eval()


@pytest.mark.parametrize("head_type", HEADS)
def test_every_sensor_gets_its_prediction(head_type: str, tiny, normalization, events) -> None:
    model = build(tiny, normalization, head_type, predict_channels="npho")
    assert model(*events, torch.rand(3, 4760) < 0.05).shape == (3, 4760, 1)


@pytest.mark.parametrize("head_type", HEADS)
def test_what_dead_sensors_hold_reaches_no_prediction(head_type: str, tiny, normalization, events, awakened) -> None:
    model, (x, valid) = awakened(build(tiny, normalization, head_type)), events
    dead = torch.rand(3, 4760) < 0.2
    poisoned = torch.where(dead[..., None], torch.nan, x)
    assert torch.equal(model(x, valid, dead), model(poisoned, valid, dead))


@pytest.mark.parametrize("head_type", HEADS)
def test_every_weight_of_the_head_is_used(head_type: str, tiny, normalization, events, awakened) -> None:
    model = awakened(build(tiny, normalization, head_type))
    model(*events, torch.rand(3, 4760) < 0.05).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.heads.parameters())


def test_attention_hears_the_measured_neighbours_alone() -> None:
    attention = NeighbourAttention(8, 6)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    nearest = torch.as_tensor(nearest_sensors(nominal_sensors(), 6, same_face=False))
    sensors, measured = torch.randn(1, 4760, 8), torch.ones(1, 4760, 1)
    sensor = 4200
    measured[0, nearest[sensor, 0]] = 0.0
    heard = attention(sensors, sensors, measured)[0, sensor]
    for changed, expected in ((nearest[sensor, 0], False), (nearest[sensor, 1], True)):
        other = sensors.clone()
        other[0, changed] += 1.0
        moved = not torch.equal(attention(sensors, other, measured)[0, sensor], heard)
        assert moved == expected
    far = sensors.clone()
    others = torch.ones(4760, dtype=torch.bool)
    others[nearest[sensor]] = False
    far[0, others] += 1.0
    assert torch.equal(attention(sensors, far, measured)[0, sensor], heard)


def test_neighbours_cross_the_edges_of_faces() -> None:
    codes = nominal_sensors().face_codes
    nearest = NeighbourAttention(8, 16).neighbours.reshape(4760, 16).numpy()
    assert (codes[nearest] != codes[:, None]).any()


@pytest.mark.parametrize("head_type", ["per_face", *HEADS])
def test_errors_stand_behind_the_values(head_type: str, tiny, normalization, events) -> None:
    settings = {} if head_type == "per_face" else {"num_neighbours": 6}
    config = InpainterModelConfig(**tiny, head_type=head_type, hidden_dim=8, predict_error=True, **settings)
    said = Inpainter(config, normalization).eval()(*events, torch.rand(3, 4760) < 0.05)
    assert said.shape == (3, 4760, 4)
    torch.testing.assert_close(said[..., 2:].exp(), torch.full((3, 4760, 2), 0.1), rtol=0.2, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head_type": "cross_attention", "hidden_dim": 10}, "hidden_dim must be a multiple of 4"),
        ({"num_neighbours": 8}, "num_neighbours is not used by head_type per_face"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InpainterModelConfig(**settings)
