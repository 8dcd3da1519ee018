"""The inpainter corrects the mean of the measured neighbours."""

import numpy as np
import pytest
import torch

from lib.geometry.faces import face_sensor_ids
from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import FACE_NAMES, nominal_sensors
from lib.models.config import InpainterModelConfig
from lib.models.inpainter import Inpainter
from lib.models.neighbour_mean import NUM_NEIGHBOURS, NeighbourMean


def build(tiny, normalization, **settings):
    return Inpainter(InpainterModelConfig(**tiny | {"hidden_dim": 8, "head_depth": 1} | settings), normalization)


@pytest.mark.parametrize(("predicted", "channels"), [("npho", 1), ("npho+time", 2)])
def test_every_sensor_gets_its_prediction(predicted, channels, tiny, normalization, events) -> None:
    model = build(tiny, normalization, predict_channels=predicted)
    assert model(*events, torch.rand(3, 4760) < 0.05).shape == (3, 4760, channels)


def test_it_starts_at_the_mean_of_the_neighbours(tiny, normalization, events) -> None:
    model, dead = build(tiny, normalization).eval(), torch.rand(3, 4760) < 0.05
    features = model.features(events[0], events[1] & ~dead[..., None])
    torch.testing.assert_close(model(*events, dead), model.neighbour_mean(features), rtol=0.0, atol=0.05)


@pytest.mark.parametrize("face", FACE_NAMES)
def test_a_head_speaks_for_the_sensors_of_its_face(face, tiny, normalization, events) -> None:
    model, dead = build(tiny, normalization).eval(), torch.rand(3, 4760) < 0.05
    before = model(*events, dead)
    with torch.no_grad():
        bias = [p for name, p in model.heads[face].named_parameters() if name.startswith("out") and "bias" in name]
        bias[0].add_(1.0)
    moved = (model(*events, dead) - before)[0].abs().amax(dim=-1) > 0.5
    np.testing.assert_array_equal(torch.nonzero(moved).flatten().numpy(), face_sensor_ids(FACE_NAMES.index(face)))


@pytest.mark.parametrize("option", [{"hidden_dim": 16}, {"head_depth": 2}])
def test_the_options_of_the_head_change_its_weights(option, tiny, normalization) -> None:
    plain, other = build(tiny, normalization), build(tiny, normalization, **option)
    assert sum(p.numel() for p in other.heads.parameters()) > sum(p.numel() for p in plain.heads.parameters())


def features_of(values, measured):
    return torch.cat([values, measured.float()], dim=-1)


def test_the_mean_of_the_neighbours_equals_a_loop() -> None:
    values, measured = torch.randn(1, 4760, 2), torch.rand(1, 4760, 2) < 0.6
    mean = NeighbourMean()(features_of(values, measured))[0]
    table = nominal_sensors()
    neighbours = nearest_sensors(table, NUM_NEIGHBOURS, same_face=True)
    for sensor in (0, 2046, 4185, 4400, 4600, 4741, 4750):
        ids = neighbours[sensor]
        weight = 1.0 / ((table.positions[ids] - table.positions[sensor]) ** 2).sum(axis=1)
        for channel in (0, 1):
            kept = weight * measured[0, ids, channel].numpy()
            expected = (kept * values[0, ids, channel].numpy()).sum() / kept.sum()
            assert mean[sensor, channel].item() == pytest.approx(expected, abs=1e-5)


def test_a_face_without_measurements_takes_the_mean_of_the_event() -> None:
    values, measured = torch.randn(1, 4760, 2), torch.ones(1, 4760, 2, dtype=torch.bool)
    top = torch.as_tensor(face_sensor_ids(FACE_NAMES.index("top")))
    measured[0, top] = False
    mean = NeighbourMean()(features_of(values, measured))
    others = values[0, measured[0, :, 0]].mean(dim=0)
    torch.testing.assert_close(mean[0, top], others.expand(73, 2), rtol=1e-4, atol=1e-5)


def test_an_event_without_measurements_gives_zero() -> None:
    mean = NeighbourMean()(features_of(torch.full((1, 4760, 2), -1.0), torch.zeros(1, 4760, 2)))
    assert torch.equal(mean, torch.zeros(1, 4760, 2))
