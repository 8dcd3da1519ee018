"""Light must go where its source is, and the ways of computing it must agree where they meet."""

import numpy as np
import pytest

from lib.geometry.coordinates import uvw_to_xyz
from lib.geometry.sensors import NUM_MPPC, nominal_sensors
from lib.geometry.solid_angle import disc_solid_angle, mppc_solid_angle
from lib.simulation.config import XenonConfig
from lib.simulation.inner_face import nearest_cell, patch_ids
from lib.simulation.kernels import LightConstants, available_kernels
from lib.simulation.light import LightModel
from lib.simulation.light_reference import exact_shares
from lib.simulation.near_light import NearField
from lib.simulation.optics import light_constants
from lib.simulation.shower import Deposits
from lib.simulation.voxels import Sources, distance_to_faces, merge_deposits

XENON = XenonConfig()
# Neither attenuation nor angular response: pure solid angle.
PURE = LightConstants(attenuation=0.0, slowness=0.06, grazing=1.0, slope=0.0, min_square=0.05)


def point_sources(uvw: np.ndarray, energy: float = 1.0) -> Sources:
    count = len(uvw)
    return Sources(uvw_to_xyz(uvw), np.full(count, energy), np.zeros(count), np.arange(count + 1))


@pytest.fixture(scope="module")
def model() -> LightModel:
    return LightModel(nominal_sensors(), XENON, available_kernels())


def test_the_reference_integral_is_the_solid_angle() -> None:
    table = nominal_sensors()
    sensor = 2046
    position = table.positions[sensor] + 1.0 * table.normals[sensor]
    shares = exact_shares(position, table, PURE)
    expected = mppc_solid_angle(np.array(0.0), np.array(0.0), np.array(1.0)) / (4 * np.pi)
    assert shares[sensor] == pytest.approx(float(expected), rel=1e-3)
    pmt = 4200
    position = table.positions[pmt] + 5.0 * table.normals[pmt]
    expected = disc_solid_angle(np.array(0.0), np.array(5.0), np.array(2.25)) / (4 * np.pi)
    assert exact_shares(position, table, PURE)[pmt] == pytest.approx(float(expected), rel=1e-3)


def test_near_a_sensor_the_chips_are_seen_one_by_one() -> None:
    table = nominal_sensors()
    field = NearField(table, PURE)
    x, y, height = (np.float32([value]) for value in (0.3, -0.2, 0.7))
    expected = mppc_solid_angle(x, y, height) / (4 * np.pi)
    np.testing.assert_allclose(field.exact_share(x, y, height), expected, rtol=1e-5)


def test_a_source_behind_a_sensor_is_not_seen() -> None:
    field = NearField(nominal_sensors(), PURE)
    zero = np.zeros(1, dtype=np.float32)
    assert field.exact_share(zero, zero, np.float32([-0.1]))[0] == 0


def test_only_shallow_sources_are_corrected() -> None:
    field = NearField(nominal_sensors(), light_constants(XENON))
    near = field.correct(uvw_to_xyz(np.array([[0.0, 0.0, 20.0], [5.0, 5.0, 1.0]])))
    np.testing.assert_array_equal(near.source, [1])
    assert near.missing.shape == (1, 25)


def test_the_brightest_sensor_is_the_one_below_the_source(model: LightModel) -> None:
    table = nominal_sensors()
    ids = np.array([500, 2046, 3900])
    sources = Sources(table.positions[ids] + 1.0 * table.normals[ids], np.ones(3), np.zeros(3), np.arange(4))
    np.testing.assert_array_equal(model.expected(sources).photons[:, :NUM_MPPC].argmax(axis=1), ids)


def test_light_is_proportional_to_energy(model: LightModel) -> None:
    place = np.array([[3.0, 20.0, 4.0]])
    one, two = (model.expected(point_sources(place, energy)).photons for energy in (1.0, 2.0))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)


def test_light_of_two_sources_adds_up(model: LightModel) -> None:
    uvw = np.array([[0.0, 0.0, 1.0], [10.0, 5.0, 8.0]])
    apart = model.direct(point_sources(uvw))[0]
    together = Sources(uvw_to_xyz(uvw), np.ones(2), np.zeros(2), np.array([0, 2]))
    np.testing.assert_allclose(model.direct(together)[0][0], apart.sum(axis=0), rtol=1e-4, atol=1e-3)


def test_a_later_source_shifts_the_arrival(model: LightModel) -> None:
    sources = point_sources(np.array([[0.0, 0.0, 3.0]]))
    late = Sources(sources.position, sources.energy, sources.time + 5.0, sources.bounds)
    shift = model.expected(late).arrival - model.expected(sources).arrival
    seen = model.expected(sources).arrival > 0
    np.testing.assert_allclose(shift[seen], 5.0, atol=1e-3)


def test_the_diffuse_light_is_its_share_of_what_is_not_seen(model: LightModel) -> None:
    sources = point_sources(np.array([[0.0, 0.0, 10.0]]))
    direct = model.direct(sources)[0].sum(dtype=float)
    total = model.expected(sources).photons.sum(dtype=float)
    emitted = XENON.photons_per_mev
    assert total - direct == pytest.approx(XENON.diffuse_fraction * (emitted - direct), rel=1e-4)


def test_patches_at_the_edge_name_no_sensor_twice() -> None:
    corners = uvw_to_xyz(np.array([[-33.0, 71.0, 0.0], [33.0, -71.0, 0.0], [0.0, 0.0, 0.0]]))
    ids = patch_ids(corners, 2)
    assert ids.shape == (3, 25)
    assert all(len(set(row)) == 25 for row in ids.tolist())
    assert ids[0, 0] == 0
    assert ids[1, -1] == NUM_MPPC - 1


def test_the_nearest_cell_of_a_sensor_is_its_own() -> None:
    row, column = nearest_cell(nominal_sensors().positions[:NUM_MPPC])
    np.testing.assert_array_equal(row * 44 + column, np.arange(NUM_MPPC))


def test_merging_keeps_energy_centre_and_events_apart() -> None:
    rng = np.random.default_rng(1)
    uvw = rng.uniform((-20, -60, 0.1), (20, 60, 38), (3000, 3))
    event, energy, time = rng.integers(0, 7, 3000), rng.exponential(1, 3000), rng.uniform(0, 3, 3000)
    single = (uvw_to_xyz(uvw).T.astype(np.float32), energy.astype(np.float32), time.astype(np.float32))
    merged = merge_deposits(Deposits(event, *single), 7)
    assert merged.num_events == 7
    np.testing.assert_allclose(merged.energy_per_event(), np.bincount(event, energy), rtol=1e-5)
    for axis in range(3):
        weighted = np.bincount(event, energy * uvw_to_xyz(uvw)[:, axis]) / np.bincount(event, energy)
        np.testing.assert_allclose(merged.centre()[:, axis], weighted, atol=1e-3)
    picked = merged.pick(np.array([5, 2]))
    np.testing.assert_allclose(picked.energy_per_event(), merged.energy_per_event()[[5, 2]])


def test_deposits_of_one_cell_become_one_source() -> None:
    position = np.repeat(uvw_to_xyz(np.array([[0.1, 0.1, 20.1]])).T, 2, axis=1).astype(np.float32)
    deposits = Deposits(np.zeros(2, dtype=int), position, np.float32([1, 3]), np.float32([0, 4]))
    merged = merge_deposits(deposits, 1)
    np.testing.assert_allclose(merged.energy, [4])
    np.testing.assert_allclose(merged.time, [3])


def test_every_sensor_lies_on_a_face() -> None:
    from lib.geometry.coordinates import xyz_to_uvw

    # The side walls are measured along u, and their PMTs stand a little behind the active xenon.
    distance = distance_to_faces(xyz_to_uvw(nominal_sensors().positions))
    np.testing.assert_allclose(distance, 0, atol=0.5)
