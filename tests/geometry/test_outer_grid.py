"""The fine grid of the outer face must lose and invent no charge, and keep every sensor near its place."""

import numpy as np

from lib.geometry.outer_grid import DENSE_PHI, DENSE_Z, FINE_SHAPE, outer_grid
from lib.geometry.sensors import COARSE_PHI_PITCH, COARSE_Z_PITCH, PHI_SPAN, coarse_ids, dense_ids, nominal_sensors

GRID = outer_grid()


def test_every_cell_has_a_sensor_and_every_sensor_its_cells() -> None:
    assert GRID.sensor_ids.shape == FINE_SHAPE
    np.testing.assert_array_equal(np.unique(GRID.sensor_ids), GRID.covered_ids)
    np.testing.assert_array_equal(np.union1d(coarse_ids(), dense_ids()), GRID.covered_ids)


def test_coarse_sensors_have_fifteen_cells_and_dense_ones_six() -> None:
    counts = np.bincount(GRID.sensor_ids.ravel(), minlength=4760)
    np.testing.assert_array_equal(counts[dense_ids()], 6)
    np.testing.assert_array_equal(counts[np.setdiff1d(coarse_ids(), dense_ids())], 15)
    np.testing.assert_array_equal(GRID.cells_per_sensor, counts[GRID.sensor_ids])


def test_shared_charge_adds_up_again_to_that_of_each_sensor() -> None:
    npho = np.random.default_rng(2).exponential(100.0, 4760)
    image = npho[GRID.sensor_ids] / GRID.cells_per_sensor
    restored = np.bincount(GRID.owner.ravel(), weights=image.ravel())
    np.testing.assert_allclose(restored, npho[GRID.covered_ids], rtol=1e-12)
    np.testing.assert_allclose(image.sum(), npho[GRID.covered_ids].sum())


def test_owner_undoes_the_gather() -> None:
    np.testing.assert_array_equal(GRID.covered_ids[GRID.owner], GRID.sensor_ids)


def test_the_dense_patch_replaces_three_by_four_coarse_cells() -> None:
    patch = GRID.sensor_ids[DENSE_Z, DENSE_PHI]
    assert patch.shape == (15, 12)
    np.testing.assert_array_equal(patch[::3, ::2].T, dense_ids())
    outside = np.ones(FINE_SHAPE, bool)
    outside[DENSE_Z, DENSE_PHI] = False
    assert not np.isin(GRID.sensor_ids[outside], dense_ids()).any()


def test_cells_lie_around_their_sensor() -> None:
    # Cell centres from the coarse lattice alone; a dense cell is 5.18 cm wide there where the patch's pitch is 6.20.
    z = (np.arange(45) - 22.0) * COARSE_Z_PITCH / 5
    phi = (35.5 - np.arange(72)) * PHI_SPAN / 72
    x_sensor, y_sensor, z_sensor = nominal_sensors().positions[GRID.sensor_ids].transpose(2, 0, 1)
    assert np.abs(z_sensor - z[:, None]).max() < 0.5 * COARSE_Z_PITCH
    assert np.abs(np.arctan2(y_sensor, -x_sensor) - phi[None, :]).max() < 0.5 * COARSE_PHI_PITCH
