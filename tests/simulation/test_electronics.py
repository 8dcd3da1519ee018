"""Counts and times must scatter as the electronics is said to."""

from dataclasses import replace

import numpy as np
import pytest

from lib.data.branches import INVALID_ABOVE, NO_VALUE
from lib.simulation.config import TimingConfig
from lib.simulation.detector_state import DetectorState, build_detector
from lib.simulation.electronics import detect_photons, measure_times, relative_to_event, standard_normal
from lib.simulation.kernels import NumpyKernels
from lib.simulation.light import Light
from lib.simulation.pileup import overlay
from lib.simulation.presets import build_config

NUM_EVENTS = 400


@pytest.fixture(scope="module")
def detector() -> DetectorState:
    found = build_detector(build_config(assignments=["dead.number=0"]), 1)
    return replace(found, time_offset=np.zeros(4760, dtype=np.float32))


@pytest.mark.parametrize("photons", [5.0, 30.0, 49.0, 52.0, 2000.0])
def test_counts_have_the_mean_and_variance_of_excess_noise(detector: DetectorState, photons: float) -> None:
    light = np.full((NUM_EVENTS, 4760), photons, dtype=np.float32)
    counts = detect_photons(np.random.default_rng(1), light, detector, NumpyKernels()).astype(float)
    mean = photons * detector.efficiency
    variance = mean * detector.excess_noise + detector.noise**2
    # Averages over 4760 sensors of 400 events each: errors of 1e-3 of a sigma, and of the variance.
    assert np.mean((counts.mean(axis=0) - mean) / np.sqrt(variance)) == pytest.approx(0, abs=5e-3)
    assert np.mean(counts.var(axis=0) / variance) == pytest.approx(1, abs=1e-2)


def test_normal_numbers_are_normal() -> None:
    drawn = standard_normal(np.random.default_rng(2), (500, 400)).astype(float)
    assert drawn.mean() == pytest.approx(0, abs=0.01)
    assert drawn.var() == pytest.approx(1, abs=0.02)
    assert np.mean(drawn**4) == pytest.approx(3, abs=0.15)
    assert np.mean(drawn[:, :200] * drawn[:, 200:]) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("photoelectrons", [6.0, 100.0, 10_000.0])
def test_times_have_walk_and_resolution(detector: DetectorState, photoelectrons: float) -> None:
    counts = np.full((NUM_EVENTS, 4760), photoelectrons, dtype=np.float32)
    light = Light(counts, np.full_like(counts, 4.0))
    time = 1e9 * measure_times(
        np.random.default_rng(3), counts, light, np.full(NUM_EVENTS, 2.0), detector=detector, timing=TimingConfig()
    ).astype(float)
    sigma = np.hypot(12 / np.sqrt(photoelectrons), 0.10)
    assert np.mean(time) == pytest.approx(6.0 + 1.5 / np.sqrt(photoelectrons), abs=5 * sigma / 1000)
    assert np.std(time) == pytest.approx(sigma, rel=0.01)


def test_small_pulses_have_no_time(detector: DetectorState) -> None:
    counts = np.tile(np.float32([4.9, 5.0]), (3, 2380))
    light = Light(counts, np.zeros_like(counts))
    time = measure_times(np.random.default_rng(4), counts, light, np.zeros(3), detector=detector, timing=TimingConfig())
    assert np.all(time[:, 0::2] == np.float32(NO_VALUE))
    assert np.all(time[:, 1::2] < INVALID_ABOVE)


def test_the_reference_clock_jitters_all_sensors_together(detector: DetectorState) -> None:
    counts = np.full((NUM_EVENTS, 4760), 1e4, dtype=np.float32)
    light = Light(counts, np.zeros_like(counts))
    timing = TimingConfig(event_jitter=0.5)
    time = measure_times(
        np.random.default_rng(5), counts, light, np.zeros(NUM_EVENTS), detector=detector, timing=timing
    )
    assert 1e9 * np.std(time.astype(float).mean(axis=1)) == pytest.approx(0.5, rel=0.15)


def test_relative_values_leave_out_what_has_no_value() -> None:
    npho = np.float32([[100, 400, NO_VALUE, 50]])
    time = np.float32([[3e-9, 5e-9, NO_VALUE, 1e-9]])
    relative_npho, relative_time = relative_to_event(npho, time, np.float32([[60, 200, 999, 30]]))
    np.testing.assert_allclose(relative_npho, [[0.25, 1.0, NO_VALUE, 0.125]])
    # The last sensor is earlier, but too faint to count from.
    np.testing.assert_allclose(relative_time, [[0, 2e-9, NO_VALUE, -2e-9]], atol=1e-15)


def test_an_event_without_good_sensor_has_no_relative_values() -> None:
    npho = np.float32([[-1, -2]])
    relative_npho, relative_time = relative_to_event(npho, np.float32([[1e-9, NO_VALUE]]), np.float32([[5, 1]]))
    assert np.all(relative_npho == np.float32(NO_VALUE))
    assert np.all(relative_time == np.float32(NO_VALUE))


@pytest.mark.parametrize(("delay", "share"), [(-45.0, np.exp(-1)), (0.0, 1.0), (75.0, 0.5), (200.0, 0.0)])
def test_a_second_photon_adds_the_light_that_falls_into_the_window(delay: float, share: float) -> None:
    first = Light(np.full((1, 3), 100, np.float32), np.full((1, 3), 4, np.float32))
    second = Light(np.float32([[1000, 1000, 0]]), np.float32([[4, 4, 4]]))
    both = overlay(first, second, np.array([delay]))
    np.testing.assert_allclose(both.photons, [[100 + 1000 * share, 100 + 1000 * share, 100]], rtol=1e-5)
    np.testing.assert_allclose(both.arrival[0, 2], 4)
    earlier = delay < 0
    assert both.arrival[0, 0] == pytest.approx(4 + delay if earlier else 4)
