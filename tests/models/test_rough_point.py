"""The rough point must find a point source by its light alone."""

import numpy as np
import pytest
import torch

from lib.geometry.coordinates import uvw_to_xyz
from lib.geometry.sensors import NUM_MPPC, nominal_sensors
from lib.models.rough_point import DEPTHS, RoughPoint, lit_sensors, to_xyz
from lib.models.window import BrightestWindow


def point_light(uvw):
    """Photons of a point source on the inner face, each sensor as a small flat area."""
    table = nominal_sensors()
    offsets = uvw_to_xyz(np.asarray(uvw)) - table.positions[:NUM_MPPC]
    distance = np.linalg.norm(offsets, axis=1)
    light = np.einsum("ij,ij->i", offsets, table.normals[:NUM_MPPC]) / distance**3
    photons = torch.zeros(1, 4760)
    photons[0, :NUM_MPPC] = torch.as_tensor(1e4 * np.maximum(light, 0.0))
    return photons


@pytest.mark.parametrize("uvw", [(0.0, 0.0, 3.0), (5.3, -20.4, 4.0), (-12.2, 41.7, 8.0), (0.4, 0.2, 14.0)])
def test_a_point_source_is_found(uvw) -> None:
    photons = point_light(uvw)
    window = BrightestWindow(17)(photons)
    found = RoughPoint(17)(window.gather(photons), window)[0].numpy()
    # The squared centroid is drawn to the middle sensor by some mm; the face's curvature adds to the depth.
    assert np.abs(found - uvw)[:2].max() < 0.6
    assert abs(found[2] / uvw[2] - 1) < 0.15


def test_a_deeper_source_lights_more_sensors() -> None:
    widths = [float(lit_sensors(point_light((0.0, 0.0, depth)))) for depth in (1.0, 2.0, 4.0, 8.0)]
    assert widths == sorted(widths)
    assert lit_sensors(torch.ones(2, 9)).tolist() == [9.0, 9.0]


def test_the_dark_gives_a_point_in_the_xenon() -> None:
    photons = torch.zeros(1, 4760)
    window = BrightestWindow(17)(photons)
    found = RoughPoint(17)(window.gather(photons), window)
    assert torch.isfinite(found).all()
    assert DEPTHS[0] <= found[0, 2] <= DEPTHS[1]


def test_positions_are_those_of_the_detector() -> None:
    uvw = torch.tensor([[1.0, 30.0, 5.0], [-20.0, -60.0, 30.0]])
    torch.testing.assert_close(to_xyz(uvw).double(), torch.tensor(uvw_to_xyz(uvw.numpy())), rtol=1e-5, atol=1e-4)
