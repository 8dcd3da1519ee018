"""Dead channels from what lies around them."""

import numpy as np
import pytest

from lib.baselines.dead_channels import DeadChannelMethod, restore_dead_channels
from lib.baselines.position_fit import PointFit, expected_photons
from lib.data.branches import NO_VALUE
from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import NUM_SENSORS, FloatArray, nominal_sensors

METHODS: tuple[DeadChannelMethod, ...] = ("neighbours", "solid_angle", "light_fit")


def light_of_a_point(uvw: tuple[float, float, float], photons: float) -> FloatArray:
    """Photons of one event whose MPPCs see a point and whose PMTs all see the same."""
    fit = PointFit(np.array([uvw]), np.array([photons]), np.ones(1), np.ones(1), np.zeros((1, 2)))
    npho = np.full((1, NUM_SENSORS), 50.0)
    npho[0, :4092] = expected_photons(fit, np.zeros(4092, dtype=np.intp), np.arange(4092))
    return npho


@pytest.fixture
def dead() -> np.ndarray:
    dead = np.zeros((1, NUM_SENSORS), dtype=bool)
    dead[0, ::37] = True
    return dead


@pytest.mark.parametrize("method", METHODS)
def test_living_channels_stay_and_what_dead_ones_hold_has_no_influence(method: DeadChannelMethod, dead) -> None:
    npho = light_of_a_point((2.0, -5.0, 3.0), 1e6)
    time = np.full_like(npho, 1e-8)
    restored = restore_dead_channels(npho, time, dead, method)
    np.testing.assert_array_equal(restored.npho[~dead], npho[~dead])
    np.testing.assert_array_equal(restored.time[~dead], time[~dead])
    for poison in (np.nan, 1e10, -3e5):
        again = restore_dead_channels(np.where(dead, poison, npho), np.where(dead, poison, time), dead, method)
        np.testing.assert_array_equal(again.npho, restored.npho)
        np.testing.assert_array_equal(again.time, restored.time)


@pytest.mark.parametrize("method", ["neighbours", "solid_angle"])
def test_the_mean_weighs_the_valid_neighbours_by_distance(method: DeadChannelMethod) -> None:
    """On a PMT face of equal light both are the same constant; with a gradient the plain mean equals a loop."""
    npho, time = np.full((1, NUM_SENSORS), NO_VALUE), np.full((1, NUM_SENSORS), NO_VALUE)
    sensor = 4400
    table, nearest = nominal_sensors(), nearest_sensors(nominal_sensors(), 12, same_face=True)[4400]
    npho[0, nearest[:5]] = [10.0, 20.0, 30.0, 40.0, 50.0]
    time[0, nearest[1]] = 3e-8
    dead = np.zeros(NUM_SENSORS, dtype=bool)
    dead[sensor] = True
    restored = restore_dead_channels(npho, time, dead, method)
    if method == "neighbours":
        weight = 1 / ((table.positions[nearest[:5]] - table.positions[sensor]) ** 2).sum(axis=1)
        assert restored.npho[0, sensor] == pytest.approx((weight * npho[0, nearest[:5]]).sum() / weight.sum())
    else:
        assert 1.0 < restored.npho[0, sensor] < 500.0
    assert restored.time[0, sensor] == pytest.approx(3e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_channel_without_neighbours_is_dark_and_has_no_time(method: DeadChannelMethod) -> None:
    nothing = np.full((2, NUM_SENSORS), NO_VALUE)
    dead = np.zeros(NUM_SENSORS, dtype=bool)
    dead[[7, 4500]] = True
    restored = restore_dead_channels(nothing, nothing, dead, method)
    assert (restored.npho[:, dead] == 0.0).all()
    assert (restored.time[:, dead] == NO_VALUE).all()


def test_the_fit_restores_the_light_of_a_point_and_averages_do_not() -> None:
    uvw = (0.3, 0.4, 1.5)
    npho = light_of_a_point(uvw, 1e6)
    brightest = int(npho[0, :4092].argmax())
    dead = np.zeros(NUM_SENSORS, dtype=bool)
    dead[brightest] = True
    time = np.full_like(npho, 1e-8)
    ratio = {m: restore_dead_channels(npho, time, dead, m).npho[0, brightest] / npho[0, brightest] for m in METHODS}
    # The light falls off on all sides of the brightest sensor, so that any mean of its neighbours is too low.
    assert ratio["neighbours"] < 0.8
    assert ratio["solid_angle"] == pytest.approx(1.0, abs=0.15)
    assert ratio["light_fit"] == pytest.approx(1.0, abs=0.02)


def test_the_fit_leaves_pmts_to_the_average(dead) -> None:
    npho = light_of_a_point((2.0, -5.0, 3.0), 1e6)
    time = np.full_like(npho, 1e-8)
    fit, mean = (restore_dead_channels(npho, time, dead, method).npho for method in ("light_fit", "solid_angle"))
    np.testing.assert_array_equal(fit[:, 4092:], mean[:, 4092:])
