"""Sensors must reach the network as what they are: sentinels, images, and charges that add up."""

import numpy as np
import pytest
import torch

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.geometry.faces import rectangular_face, staggered_face
from lib.geometry.outer_grid import outer_grid
from lib.models.sensor_inputs import OuterImage, RectangularImage, SensorFeatures, StaggeredSensors

POOLS = [None, (3, 3), (5, 3), (9, 12)]
OUTER_IDS = torch.as_tensor(outer_grid().covered_ids)


def outer_image(pool, normalization, npho, time):
    x, valid = normalization.apply(npho, time)
    return OuterImage(pool, normalization)(SensorFeatures(normalization)(x, valid))


def test_what_stands_at_invalid_sensors_is_gone(normalization) -> None:
    x, valid = torch.randn(2, 4760, 2), torch.rand(2, 4760, 2) < 0.5
    spoilt = torch.where(valid, x, torch.tensor([float("nan"), 1e10]))
    features = SensorFeatures(normalization)(spoilt, valid)
    assert torch.equal(features[..., 2:], valid.float())
    assert torch.equal(features[..., :2][valid], x[valid])
    assert torch.equal(features[..., :2][~valid], torch.full((int((~valid).sum()),), -1.0))


@pytest.mark.parametrize("name", ["inner", "us", "ds", "outer_coarse", "outer_dense"])
def test_an_image_shows_each_sensor_at_its_pixel(name) -> None:
    ids = torch.arange(4760.0)[None, :, None]
    np.testing.assert_array_equal(RectangularImage(name)(ids)[0, ..., 0].numpy(), rectangular_face(name).sensor_ids)


@pytest.mark.parametrize("name", ["top", "bottom"])
def test_a_staggered_face_lists_its_sensors(name) -> None:
    ids = torch.arange(4760.0)[None, :, None]
    np.testing.assert_array_equal(StaggeredSensors(name)(ids)[0, :, 0].numpy(), staggered_face(name).sensor_ids)


@pytest.mark.parametrize("pool", POOLS)
def test_the_outer_image_holds_the_charge_of_its_sensors(pool, normalization) -> None:
    npho = torch.rand(2, 4760) * 5000.0
    image = outer_image(pool, normalization, npho, torch.zeros(2, 4760))
    charge = normalization.inverse_npho(image[..., 0]).sum(dim=(1, 2))
    torch.testing.assert_close(charge, npho[:, OUTER_IDS].sum(dim=1), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("pool", POOLS)
def test_uniform_light_stays_uniform_around_dead_sensors(pool, normalization) -> None:
    cells = torch.as_tensor(outer_grid().cells_per_sensor.flatten())
    npho = torch.zeros(1, 4760)
    npho[:, torch.as_tensor(outer_grid().sensor_ids.flatten())] = cells * 100.0
    npho[0, OUTER_IDS[torch.rand(234) < 0.2]] = 1e10
    image = outer_image(pool, normalization, npho, torch.zeros(1, 4760))
    measured = image[..., 2] > 0
    density = normalization.inverse_npho(image[..., 0][measured])
    size = 1 if pool is None else pool[0] * pool[1]
    torch.testing.assert_close(density, torch.full_like(density, 100.0 * size), rtol=1e-4, atol=0.0)


def test_times_are_averaged_over_measured_cells_only(normalization) -> None:
    npho, time = torch.full((1, 4760), 1000.0), torch.rand(1, 4760) * 1e-7
    time[0, OUTER_IDS[torch.rand(234) < 0.4]] = 1e10
    image = outer_image((3, 3), normalization, npho, time)
    cells = np.where(time[0].numpy() < 1.0, time[0].numpy(), np.nan)[outer_grid().sensor_ids]
    windows = cells.reshape(15, 3, 24, 3).transpose(0, 2, 1, 3).reshape(15, 24, 9)
    share = np.isfinite(windows).mean(axis=-1)
    np.testing.assert_allclose(image[0, ..., 3].numpy(), share, rtol=1e-6)
    some = share > 0
    expected = np.nanmean(windows[some], axis=-1) / 1.14e-7 + 0.46
    np.testing.assert_allclose(image[0, ..., 1].numpy()[some], expected, rtol=1e-4)
    assert not some.all()
    assert (image[0, ..., 1].numpy()[~some] == normalization.sentinel_time).all()


@pytest.mark.parametrize("scheme", ["log1p", "sqrt", "anscombe", "linear"])
def test_a_dark_face_has_finite_slopes(scheme) -> None:
    normalization = Normalization.from_config(NormalizationConfig(npho_scheme=scheme))
    x, valid = normalization.apply(torch.zeros(1, 4760), torch.zeros(1, 4760))
    x.requires_grad_()
    OuterImage((3, 3), normalization)(SensorFeatures(normalization)(x, valid)).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_a_dead_window_shows_the_sentinel(normalization) -> None:
    npho = torch.full((1, 4760), 1000.0)
    npho[0, OUTER_IDS] = 1e10
    image = outer_image((3, 3), normalization, npho, torch.zeros(1, 4760))
    expected = torch.tensor([-1.0, -1.0, 0.0, 0.0]).expand(1, 15, 24, 4)
    assert torch.equal(image, expected)
