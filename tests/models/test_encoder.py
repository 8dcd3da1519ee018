"""The encoder must read every sensor, and nothing of what is not valid."""

import numpy as np
import pytest
import torch

from lib.geometry.sensors import NUM_SENSORS
from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder, area_sensors, token_sensors
from lib.models.face_networks import grid_projection
from lib.models.position import describe_sensors

OUTER_MODES = [{"outer_mode": "finegrid"}, {"outer_mode": "split", "outer_fine_pool": None}]


@pytest.mark.parametrize("outer", OUTER_MODES)
def test_the_tokens_cover_the_sensors(outer, tiny, normalization) -> None:
    names = Encoder(EncoderConfig(**tiny | outer), normalization).faces
    ids, counts = np.unique(np.concatenate([token_sensors(name) for name in names]), return_counts=True)
    np.testing.assert_array_equal(ids, np.arange(NUM_SENSORS))
    # Twelve sensors were moved from the coarse lattice to the dense one and stand in both of the split images.
    assert np.count_nonzero(counts > 1) == (12 if outer["outer_mode"] == "split" else 0)


@pytest.mark.parametrize("outer", OUTER_MODES)
def test_every_sensor_reaches_its_token_and_no_other(outer, tiny, normalization, events, awakened) -> None:
    encoder = awakened(Encoder(EncoderConfig(**tiny | outer, drop_path_rate=0.0), normalization)).double()
    x, valid = events[0][:1].double(), torch.ones(1, 4760, 2, dtype=torch.bool)
    features = encoder.features(x, valid)
    for name in encoder.faces:
        leaf = features.clone().requires_grad_()
        encoder.faces[name](leaf).square().sum().backward()
        for channel in (0, 1):
            reached = torch.nonzero(leaf.grad[0, :, channel]).flatten().numpy()
            np.testing.assert_array_equal(reached, np.sort(token_sensors(name)))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("outer", OUTER_MODES)
def test_invalid_sensors_have_no_influence(outer, masked, tiny, normalization, events, awakened) -> None:
    settings = tiny | outer | {"masked_convolution": masked}
    encoder = awakened(Encoder(EncoderConfig(**settings), normalization)).eval()
    x, valid = events
    spoilt = torch.where(valid, x, torch.tensor([float("nan"), 1e10]))
    assert torch.equal(encoder(spoilt, valid), encoder(x, valid))
    # Not being valid is itself seen.
    assert not torch.equal(encoder(x, torch.ones_like(valid)), encoder(x, valid))


@pytest.mark.parametrize("masked", [False, True])
def test_events_do_not_see_each_other(masked, tiny, normalization, events, awakened) -> None:
    encoder = awakened(Encoder(EncoderConfig(**tiny, masked_convolution=masked), normalization)).eval()
    x, valid = events[0], events[1].clone()
    # Unlike the others, so that one event cannot decide how many positions the layers run over.
    valid[1, ::2] = False
    torch.testing.assert_close(encoder(x, valid)[1:2], encoder(x[1:2], valid[1:2]), rtol=1e-4, atol=1e-4)


def test_evaluation_repeats_itself_and_training_does_not(tiny, normalization, events) -> None:
    encoder = Encoder(EncoderConfig(**tiny | {"num_fusion_layers": 2}, drop_path_rate=0.5), normalization)
    assert not torch.equal(encoder.train()(*events), encoder(*events))
    assert torch.equal(encoder.eval()(*events), encoder(*events))


@pytest.mark.parametrize(
    "option",
    [
        {"outer_fine_pool": (5, 3)},
        {"outer_fine_pool": None},
        {"outer_mode": "split", "outer_fine_pool": None},
        {"stage_dims": (4, 12)},
        {"stage_depths": (1, 2)},
        {"stage_depths": (0, 0)},
        {"point_fit": True},
        {"inner_patch": 2},
        {"encoder_dim": 32},
        {"num_heads": 4},
        {"dim_feedforward": 32},
        {"num_fusion_layers": 2},
        {"num_registers": 2},
        {"tokens_per_face": 4},
        {"masked_convolution": True},
        {"multi_scale": True, "stage_dims": (4, 12), "stage_depths": (1, 1)},
        {"face_position": "geometric"},
    ],
)
def test_every_option_changes_the_encoder(option, tiny, normalization, events, awakened) -> None:
    plain = awakened(Encoder(EncoderConfig(**tiny), normalization)).eval()
    other = awakened(Encoder(EncoderConfig(**tiny | option), normalization)).eval()
    same_weights = [p.shape for p in plain.parameters()] == [p.shape for p in other.parameters()]
    assert not same_weights or not torch.allclose(plain(*events), other(*events))


def test_the_summary_is_not_rounded_to_bfloat16(tiny, normalization, events) -> None:
    encoder = Encoder(EncoderConfig(**tiny | {"point_fit": True}), normalization)
    exact = encoder.encode(*events).summary
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.encode(*events).summary.features, exact.features)


def test_index_maps_are_buffers_but_not_weights(tiny, normalization) -> None:
    encoder = Encoder(EncoderConfig(**tiny | {"face_position": "geometric"}), normalization)
    assert set(encoder.state_dict()) == {name for name, _ in encoder.named_parameters()}
    assert sum(1 for _ in encoder.buffers()) > 10


def test_the_pooled_grid_never_falls_below_four(tiny, normalization) -> None:
    deep = tiny | {"stage_dims": (4,) * 5, "stage_depths": (1,) * 5, "inner_patch": 1}
    encoder = Encoder(EncoderConfig(**deep), normalization)
    grids = {name: encoder.faces[name].network.grids[-1] for name in ("inner", "outer", "us")}
    assert grids == {"inner": (12, 6), "outer": (4, 6), "us": (24, 6)}


def test_geometric_positions_differ_between_all_tokens() -> None:
    names = ("inner", "outer", "outer_coarse", "outer_dense", "us", "ds", "top", "bottom")
    rows = np.stack([describe_sensors(token_sensors(name)) for name in names])
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=-1) + np.eye(len(names))
    # The whole outer face is little more than its coarse lattice, and never stands beside it.
    distance[1, 2] = distance[2, 1] = 1.0
    assert distance.min() > 0.3


def test_geometric_positions_tell_direction_and_kind() -> None:
    inner, outer, us, ds = (describe_sensors(token_sensors(name)) for name in ("inner", "outer", "us", "ds"))
    # Inner looks away from the beam axis, outer back to it, the sides at each other; only the inner face has MPPCs.
    assert inner[3] < -0.8
    assert outer[3] > 0.8
    np.testing.assert_allclose(us[3:6], ds[3:6] * [1, 1, -1], atol=1e-9)
    assert [face[9] for face in (inner, outer, us, ds)] == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("num_areas", [4, 16])
def test_the_parts_of_the_inner_face_are_equal_and_cover_it(num_areas) -> None:
    areas = area_sensors("inner", num_areas)
    np.testing.assert_array_equal(np.sort(np.concatenate(areas)), np.sort(token_sensors("inner")))
    sizes = [len(ids) for ids in areas]
    # 93 rows cannot be divided evenly.
    assert max(sizes) - min(sizes) <= 44 / num_areas**0.5
    centres = np.stack([describe_sensors(ids)[:3] for ids in areas])
    # Row by row: along a row the beam coordinate changes, down a column it does not.
    side = int(num_areas**0.5)
    assert np.ptp(centres[:side, 2]) > 0.5
    np.testing.assert_allclose(centres[::side, 2], centres[0, 2], atol=1e-9)


def test_a_part_of_the_inner_face_speaks_loudest_in_its_own_token(tiny, normalization, events, awakened) -> None:
    settings = tiny | {"tokens_per_face": 4, "inner_patch": 1}
    encoder = awakened(Encoder(EncoderConfig(**settings, drop_path_rate=0.0), normalization)).double()
    features = encoder.features(events[0][:1].double(), torch.ones(1, 4760, 2, dtype=torch.bool))
    sizes = np.empty((4, 4))
    for number in range(4):
        leaf = features.clone().requires_grad_()
        encoder.faces["inner"](leaf)[0, number].square().sum().backward()
        sizes[number] = [float(leaf.grad[0, ids].abs().sum()) for ids in area_sensors("inner", 4)]
    np.testing.assert_array_equal(sizes.argmax(axis=1), np.arange(4))


@pytest.mark.parametrize("outer", OUTER_MODES)
def test_tokens_of_parts_and_scales_stand_with_their_face(outer, tiny, normalization, events) -> None:
    stages = {"stage_dims": (4, 6, 8), "stage_depths": (1, 1, 1)}
    options = {"tokens_per_face": 4, "multi_scale": True, "face_position": "geometric", "fovea_side": 5}
    encoder = Encoder(EncoderConfig(**tiny | outer | stages | options), normalization)
    counts = {name: encoder.token_faces.count(name) for name in encoder.token_faces}
    assert counts == dict.fromkeys(encoder.faces, 3) | {"inner": 6, "fovea": 1, "summary": 1}
    assert list(dict.fromkeys(encoder.token_faces)) == [*encoder.faces, "fovea", "summary"]
    assert encoder(*events).shape[1] == len(encoder.token_faces)


def test_averages_of_a_masked_face_are_taken_over_what_was_measured() -> None:
    projection = grid_projection((8, 8), 3, 5)
    x, seen = torch.randn(2, 64, 3), torch.ones(2, 64, dtype=torch.bool)
    # Everything of one cell, half of another.
    seen.view(2, 8, 8)[:, :2, :2], seen.view(2, 8, 8)[:, :2, 2] = False, False
    hidden = x * seen[..., None]
    full = torch.where(seen[..., None], x, 0.0)
    full.view(2, 8, 8, 3)[:, :2, 2] = full.view(2, 8, 8, 3)[:, :2, 3]
    torch.testing.assert_close(projection(hidden, seen), projection(full))
