"""The point fit must find a point source exactly, and leave over of its light nothing but statistics."""

import numpy as np
import pytest
import torch

from lib.baselines.position_fit import PointFit as PointSources
from lib.baselines.position_fit import expected_photons
from lib.geometry.sensors import NUM_MPPC
from lib.geometry.solid_angle import rectangle_solid_angle
from lib.models.point_fit import NUM_FIT_FEATURES, PointFit, _solid_angle, _solve
from lib.models.window import BrightestWindow

UVW = [(0.4, 0.2, 1.0), (5.3, -20.4, 3.0), (-12.2, 41.7, 8.0), (23.0, -66.0, 2.0)]


def point_light(uvw, photons=2e6):
    """Photons of point sources on the inner face, as the conventional fit expects them, shape (n, 4760)."""
    count, zeros = len(uvw), np.zeros(len(uvw))
    sources = PointSources(np.array(uvw), np.full(count, photons), zeros, zeros, np.zeros((count, 2)))
    event, sensor = np.divmod(np.arange(count * NUM_MPPC), NUM_MPPC)
    light = torch.zeros(count, 4760)
    # Far away, rounding leaves solid angles that are less than nothing.
    light[:, :NUM_MPPC] = torch.as_tensor(expected_photons(sources, event, sensor)).view(count, -1).clamp_min(0.0)
    return light


def fitted(light, start, measured=None):
    window = BrightestWindow(17)(light)
    flags = window.gather(torch.ones_like(light) if measured is None else measured)
    return PointFit(17)(window.gather(light), flags, start, window), window


def test_a_point_source_is_found_and_nothing_is_left_over() -> None:
    light, true = point_light(UVW), torch.tensor(UVW)
    found, window = fitted(light, true + torch.tensor([0.1, -0.1, 0.1]))
    # Two steps, shortened by 5 %, from 1 mm away; at the edge of the face half of the sensors are missing.
    torch.testing.assert_close(found.uvw, true, rtol=0, atol=0.01)
    torch.testing.assert_close(found.wide, true, rtol=0, atol=0.01)
    # Ten sensors away from a source 1 cm deep, the light is what rounding leaves of it.
    assert found.residuals.abs().max() < 0.4
    assert (found.residuals[~window.inside] == 0).all()
    # 2e6 photons over the whole sphere, times the share of the surface that is sensitive.
    amount = torch.tensor(2e6 * (0.59 / 0.615) ** 2 / (4 * np.pi)).sqrt().float()
    torch.testing.assert_close(found.root_photons, amount.expand(4, 1), rtol=0.01, atol=0)


def test_a_start_half_a_centimetre_away_is_drawn_to_the_source() -> None:
    true = torch.tensor(UVW)
    start = true + torch.tensor([0.4, 0.3, 0.5])
    found, _ = fitted(point_light(UVW), start)
    assert ((found.uvw - true).norm(dim=1) < 0.25 * (start - true).norm(dim=1)).all()


def test_dead_sensors_neither_pull_nor_leave_anything_over() -> None:
    light, true = point_light(UVW), torch.tensor(UVW)
    measured = torch.ones_like(light)
    measured[:, ::5] = 0.0
    window = BrightestWindow(17)(light)
    wrong = torch.where(measured > 0, light, 3.0 * light)
    found = PointFit(17)(window.gather(wrong), window.gather(measured), true, window)
    torch.testing.assert_close(found.uvw, true, rtol=0, atol=1e-3)
    assert found.residuals.abs().max() < 0.05


def test_residuals_are_in_units_of_the_statistical_error() -> None:
    uvw = [(0.4, 0.2, 6.0)]
    light = point_light(uvw, photons=1e6).repeat(300, 1)
    generator = torch.Generator().manual_seed(0)
    noisy = (light + (light * 1.30 / 0.08).sqrt() * torch.randn(light.shape, generator=generator)).clamp_min(0.0)
    window = BrightestWindow(17)(light)
    found = PointFit(17)(window.gather(noisy), torch.ones(300, 17 * 17), torch.tensor(uvw).repeat(300, 1), window)
    bright = window.gather(light)[0] > 500
    # The fit takes some of the spread away, and what it misses of the position adds some.
    assert found.residuals[:, bright].std().item() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("photons", [0.0, 1e-3, 1e6])
@pytest.mark.parametrize("flag", [0.0, 1.0])
def test_whatever_the_light_the_point_stays_in_the_xenon(photons, flag) -> None:
    window = BrightestWindow(9)(torch.rand(2, 4760))
    found = PointFit(9)(
        torch.full((2, 81), photons), torch.full((2, 81), flag), torch.tensor([[0.0, 60.0, 25.0]] * 2), window
    )
    assert all(torch.isfinite(part).all() for part in found)
    assert ((found.uvw[:, 2] >= 0.3) & (found.uvw[:, 2] <= 25.0)).all()
    features = found.features(window)
    assert features.shape == (2, NUM_FIT_FEATURES)
    assert torch.isfinite(features).all()


def test_slopes_are_those_of_the_solid_angle() -> None:
    x, y, height = (torch.rand(3, 50, dtype=torch.float64) * torch.tensor([[6.0], [6.0], [8.0]])).unbind()
    height = height + 0.3
    inputs = [one.requires_grad_() for one in (x, y, height)]
    angle, slopes = _solid_angle(*inputs)
    ends = [sign * 0.615 - one.detach().numpy() for one in (x, y) for sign in (-1, 1)]
    expected = rectangle_solid_angle(*ends, height.detach().numpy())
    np.testing.assert_allclose(angle.detach().numpy(), expected, rtol=1e-9)
    for found, wanted in zip(slopes, torch.autograd.grad(angle.sum(), inputs), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_far_sensors_keep_their_digits_in_single_precision() -> None:
    x, y, height = torch.rand(3, 200) * torch.tensor([[20.0], [20.0], [10.0]]) + torch.tensor([[0.0], [0.0], [0.3]])
    angle, slopes = _solid_angle(x, y, height)
    exact, exact_slopes = _solid_angle(x.double(), y.double(), height.double())
    assert angle.dtype == torch.float32
    torch.testing.assert_close(angle.double(), exact, rtol=3e-7, atol=0.0)
    for found, wanted in zip(slopes, exact_slopes, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=0.0)


def test_a_sensor_just_below_is_seen_under_more_than_half_a_sphere_s_half() -> None:
    exact = rectangle_solid_angle(*(np.array([end]) for end in (-0.615, 0.615, -0.615, 0.615)), np.array([0.1]))
    assert exact > np.pi
    angle, _ = _solid_angle(*(torch.tensor([place]) for place in (0.0, 0.0, 0.1)))
    np.testing.assert_allclose(angle.numpy(), exact, rtol=1e-6)


def test_three_equations_are_solved() -> None:
    root = torch.randn(20, 3, 3, dtype=torch.float64)
    matrix = root @ root.mT + 0.1 * torch.eye(3)
    right = torch.randn(20, 3, dtype=torch.float64)
    torch.testing.assert_close(_solve(matrix, right), torch.linalg.solve(matrix, right))
    assert _solve(1e-6 * torch.eye(3)[None], torch.zeros(1, 3)).tolist() == [[0.0] * 3]
