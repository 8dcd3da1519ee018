"""The head of the light field: a source, what it sends to each sensor, and what was measured around it."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import FACE_NAMES, INNER_SHAPE, NUM_MPPC, nominal_sensors
from lib.models.config import InpainterModelConfig
from lib.models.inpainter import Inpainter
from lib.models.light_field import LightField
from lib.models.light_head import RatioMixture
from lib.models.light_neighbours import PmtNeighbours, _relative_places, nearest_mppcs, nearest_pmts
from lib.models.light_ratios import INNER_WIDTHS, PMT_WIDTHS, InnerRatios, PmtRatios
from lib.models.light_window import LightWindow
from lib.models.rough_point import to_xyz
from lib.models.window import BrightestWindow, Window

NOISE = 1e-3


def build(tiny, normalization, **settings) -> Inpainter:
    sizes = {"hidden_dim": 8, "head_depth": 2} | settings
    return Inpainter(InpainterModelConfig(**tiny | sizes, head_type="light_field"), normalization).eval()


@pytest.mark.parametrize(
    ("predicted", "error", "outputs"), [("npho", False, 1), ("npho+time", False, 2), ("npho", True, 2)]
)
def test_every_sensor_gets_its_prediction(predicted, error, outputs, tiny, normalization, events) -> None:
    model = build(tiny, normalization, predict_channels=predicted, predict_error=error)
    said = model(*events, torch.rand(3, 4760) < 0.05)
    assert said.shape == (3, 4760, outputs)
    assert torch.isfinite(said).all()
    assert (normalization.inverse_npho(said[..., 0]) > 0).all()


def test_what_dead_sensors_hold_reaches_no_prediction(tiny, normalization, events, awakened) -> None:
    model, (x, valid) = awakened(build(tiny, normalization)), events
    dead = torch.rand(3, 4760) < 0.2
    assert torch.equal(model(x, valid, dead), model(torch.where(dead[..., None], torch.nan, x), valid, dead))


def test_every_weight_of_the_head_is_used(tiny, normalization, events, awakened) -> None:
    model = awakened(build(tiny, normalization, light_points=3))
    with torch.no_grad():
        # A sum over sensors of random sign would hide light that left the range.
        model.light.field.log_gain.zero_()
        for layer in model.light.output_layers:
            layer.weight.mul_(0.01)
    model(*events, torch.rand(3, 4760) < 0.05).square().sum().backward()
    silent = [name for name, one in model.light.named_parameters() if one.grad is None or not one.grad.abs().sum() > 0]
    assert silent == []


def test_autocast_does_not_round_the_light(tiny, normalization, events) -> None:
    """The encoder may round, and moves the source by so little; the light of a source is not rounded."""
    model, dead = build(tiny, normalization), torch.rand(3, 4760) < 0.05
    exact = model(*events, dead)[..., 0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(*events, dead)[..., 0]
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=1e-3, atol=1e-5)


def test_the_light_falls_with_the_solid_angle() -> None:
    """Far from a source, twice the distance along the normal leaves a quarter, and what is absorbed on the way."""
    field = LightField((2, 4), dim=4, depth=1)
    table = nominal_sensors()
    sensor = int(np.argmin(np.abs(table.positions[:NUM_MPPC] - [-64.97, 0.0, 0.75]).sum(axis=1)))
    near, far = (
        torch.tensor(table.positions[sensor] + table.normals[sensor] * d, dtype=torch.float32)[None]
        for d in (10.0, 20.0)
    )
    fall = 3.0 * (field._way(near)[0, 0, sensor] - field._way(far)[0, 0, sensor])
    assert fall.item() == pytest.approx(np.log(4.0) + 10.0 / 39.0, abs=0.01)


def test_a_source_stays_within_reach_of_the_rough_point() -> None:
    rough = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 25.0]])
    moved = LightField._source(rough, torch.full((2, 3), 50.0))
    torch.testing.assert_close(moved[:, :2] - rough[:, :2], torch.full((2, 2), 3.0))
    assert moved[0, 2].item() == pytest.approx(3.0 * np.e)
    assert moved[1, 2].item() == 25.0


def test_points_share_the_light() -> None:
    """Two points of equal light: what a sensor sees is the mean of what it sees of either."""
    field = LightField((2, 4), dim=4, depth=1, num_points=2)
    rough, said = torch.tensor([[1.0, 2.0, 3.0]]), torch.zeros(1, 2, 4)
    said[0, 1, 0], said[0, 1, 2] = 5.0, 1.0
    places = field._source(rough, said[:, 0]), field._further_source(rough, said[:, 1])
    alone = [torch.exp(3.0 * field._way(to_xyz(place))[:, 0].double()) for place in places]
    way = field._with_further(field._way(to_xyz(places[0])), rough, said)
    torch.testing.assert_close(torch.exp(3.0 * way[:, 0].double()), 0.5 * sum(alone), rtol=1e-4, atol=0)
    said[0, 1, 3] = -100.0
    alone_again = field._with_further(field._way(to_xyz(places[0])), rough, said)
    torch.testing.assert_close(torch.exp(3.0 * alone_again[:, 0].double()), alone[0], rtol=1e-4, atol=0)


def test_further_points_may_lie_anywhere() -> None:
    rough = torch.tensor([[1.0, 2.0, 3.0]])
    moved = LightField._further_source(rough, torch.full((1, 4), 50.0))
    torch.testing.assert_close(moved[:, :2] - rough[:, :2], torch.full((1, 2), 15.0))
    assert moved[0, 2].item() == pytest.approx(3.0 * np.exp(2.0))
    torch.testing.assert_close(LightField._further_source(rough, torch.zeros(1, 4)), rough)


def brightest_at(row: int, column: int) -> Window:
    photons = torch.ones(1, 4760)
    photons[0, row * INNER_SHAPE[1] + column] = 1e4
    return BrightestWindow(5)(photons)


@pytest.mark.parametrize(("row", "column", "count"), [(40, 20, 25), (0, 0, 9), (92, 43, 9)])
def test_the_window_corrects_each_of_its_sensors_once(row: int, column: int, count: int) -> None:
    layers = LightWindow(5, 2, 3, dim=4, depth=1)
    with torch.no_grad():
        layers.out.weight.zero_()
        layers.out.bias.fill_(1.0)
    said = layers(torch.rand(1, 2, NUM_MPPC), brightest_at(row, column), torch.rand(1, 3))[0].unflatten(0, INNER_SHAPE)
    assert said.sum().item() == count
    assert said[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3].min() == 1.0


def test_near_pmts_cross_the_edges_of_faces_and_are_no_mppcs() -> None:
    table, near = nominal_sensors(), nearest_pmts()
    faces = table.face_codes[NUM_MPPC:]
    assert (faces[near] != faces[:, None]).any()
    assert (near != np.arange(len(near))[:, None]).all()
    assert (np.linalg.norm(table.positions[NUM_MPPC:][near] - table.positions[NUM_MPPC:, None], axis=-1) < 21.0).all()
    assert (nearest_mppcs() < NUM_MPPC).all()


def test_the_way_to_a_neighbour_is_told_along_the_faces() -> None:
    """On a side face, neighbours of one ring lie along phi, those of one ray along r and z, and normals agree."""
    table, near = nominal_sensors(), nearest_pmts()
    place = _relative_places(near).unflatten(1, near.shape)
    of_us = table.face_codes[NUM_MPPC:] == FACE_NAMES.index("us")
    inside = of_us & (table.face_codes[NUM_MPPC:][near] == FACE_NAMES.index("us")).all(axis=1)
    z, phi, r, length, cosine = place[:, inside]
    torch.testing.assert_close(z.square() + phi.square() + r.square(), length.square(), rtol=1e-5, atol=1e-6)
    # The face is a cone: outwards is away from the middle, by the tangent of 19.271 degrees.
    torch.testing.assert_close(z, -0.34963 * r, atol=0.05, rtol=0)
    assert (cosine > 0.9).all()


def test_a_pmt_hears_its_measured_neighbours_alone() -> None:
    layer, near = PmtNeighbours(6), nearest_pmts()
    photons, log_expected, measured = torch.full((1, 668), 500.0), torch.full((1, 668), 6.0), torch.ones(1, 668)
    with torch.no_grad():
        layer.of_place.bias.fill_(1.0)
    before = layer(photons, log_expected, measured)
    photons[0, near[100, 0]] = 900.0
    changed = (layer(photons, log_expected, measured) != before).any(dim=1)[0]
    assert set(np.flatnonzero(changed.numpy())) == set(np.flatnonzero((near == near[100, 0]).any(axis=1)))
    measured[0, near[100]] = 0.0
    assert torch.equal(layer(photons, log_expected, measured)[..., 100], torch.zeros(1, 6))


@pytest.mark.parametrize("ratios", [InnerRatios(), PmtRatios()], ids=["inner", "pmts"])
def test_more_light_everywhere_is_the_same_ratio_at_every_width(ratios) -> None:
    expected = torch.full((2, 4760), 1e7)
    said = ratios(1.5 * expected, expected, torch.ones(2, 4760))
    torch.testing.assert_close(said, torch.full_like(said, np.log(1.5)), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("ratios", "sensor", "widths"), [(InnerRatios(), 2000, INNER_WIDTHS), (PmtRatios(), 200, PMT_WIDTHS)]
)
def test_a_ratio_sees_what_is_measured_nearby_and_not_the_sensor_itself_where_it_is_dead(
    ratios, sensor, widths
) -> None:
    first = 0 if isinstance(ratios, InnerRatios) else NUM_MPPC
    expected, measured = torch.full((1, 4760), 1e6), torch.ones(1, 4760)
    measured[0, first + sensor] = 0.0
    photons = expected.clone()
    photons[0, first + sensor] = 5e6
    torch.testing.assert_close(ratios(photons, expected, measured)[..., sensor], torch.zeros(1, len(widths)))
    beside = nearest_sensors(nominal_sensors(), 1, same_face=True)[first + sensor, 0]
    photons[0, beside] = 2e6
    seen = ratios(photons, expected, measured)[0, :, sensor]
    assert (seen[:-1] > seen[1:]).all(), "the narrower, the more one neighbour counts"
    assert seen[-1] > 0


def test_faint_light_says_nothing_of_a_ratio() -> None:
    expected = torch.full((1, 4760), 0.01)
    for ratios in (InnerRatios(), PmtRatios()):
        assert ratios(expected * 2, expected, torch.ones(1, 4760)).abs().max() < 0.05
        # Pedestals can make an average negative.
        assert torch.isfinite(ratios(expected - 100.0, expected, torch.ones(1, 4760))).all()


def test_the_mixture_weighs_ratios_by_what_the_network_says() -> None:
    mixture = RatioMixture(3)
    ratios, said = torch.tensor([[[1.0], [2.0], [3.0]]]), torch.zeros(1, 5, 1)
    said[0, 2], said[0, 3:, 0] = 100.0, torch.tensor([0.5, 7.0])
    torch.testing.assert_close(mixture(ratios, said)[0, :, 0], torch.tensor([3.5, 7.0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"physics_skip": False}, "starts from the rough point of physics_skip"),
        ({"num_neighbours": 8}, "num_neighbours is not used by head_type light_field"),
        ({"head_type": "per_face", "light_points": 2}, "light_points is not used by head_type per_face"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InpainterModelConfig(**{"head_type": "light_field"} | settings)
