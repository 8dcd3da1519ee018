"""The window must sit on the brightest place, also at the edge, and take no single sensor's word for it."""

import pytest
import torch

from lib.geometry.coordinates import xyz_to_uvw
from lib.geometry.sensors import nominal_sensors
from lib.models.window import BrightestWindow


def spot(row, column):
    photons = torch.zeros(1, 4760)
    inner = photons[0, :4092].view(93, 44)
    inner[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 500.0
    inner[row, column] = 2000.0
    return photons


@pytest.mark.parametrize(("row", "column"), [(46, 22), (0, 0), (92, 43), (0, 43), (50, 2)])
def test_the_middle_is_the_brightest_sensor_in_its_place(row, column) -> None:
    photons = spot(row, column)
    window = BrightestWindow(17)(photons)
    middle = row * 44 + column
    assert window.sensor_ids[0, 17 * 17 // 2] == middle
    assert window.gather(photons)[0].max() == 2000.0
    expected = xyz_to_uvw(nominal_sensors().positions[middle])[:2]
    torch.testing.assert_close(window.uv[0].double(), torch.tensor(expected), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("row", "column", "inside"), [(46, 22, 289), (0, 0, 81), (46, 0, 17 * 9)])
def test_pixels_beyond_the_face_are_empty(row, column, inside) -> None:
    window = BrightestWindow(17)(spot(row, column))
    assert int(window.inside.sum()) == inside
    assert int((window.gather(torch.ones(1, 4760)) == 0).sum()) == 289 - inside


def test_pixels_are_those_of_the_image() -> None:
    window = BrightestWindow(5)(spot(40, 20))
    ids = torch.arange(4092).view(93, 44)[38:43, 18:23]
    assert torch.equal(window.sensor_ids[0].view(5, 5), ids)


def test_one_loud_sensor_does_not_move_the_window() -> None:
    photons = spot(46, 22)
    photons[0, 10 * 44 + 5] = 10_000.0
    assert BrightestWindow(17)(photons).sensor_ids[0, 144] == 46 * 44 + 22


def test_rounding_does_not_choose_between_places_that_are_equally_bright() -> None:
    torch.manual_seed(1)
    photons = torch.full((20, 4760), 500.0) * (1.0 + 1e-6 * torch.randn(20, 4760))
    window = BrightestWindow(17)(photons)
    assert (window.sensor_ids == window.sensor_ids[:1]).all()
