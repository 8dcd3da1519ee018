"""From light on a sensor to the photon count and the time that the analysis sees."""

import numpy as np

from lib.data.branches import INVALID_ABOVE, NO_VALUE
from lib.geometry.sensors import NUM_SENSORS, FloatArray
from lib.simulation.config import TimingConfig
from lib.simulation.detector_state import DetectorState
from lib.simulation.kernels import Kernels
from lib.simulation.light import Light
from lib.simulation.particles import Float32Array

# Below this mean the number of photoelectrons is drawn from Poisson's law, above it from a normal one: the excess
# noise has widened that by then, and the electronic noise has blurred its skewness.
_POISSON_BELOW = np.float32(4.0)

# relative_time counts from the earliest sensor with at least this many photoelectrons.
_REFERENCE_PHOTOELECTRONS = 50.0
_SECONDS_PER_NS = np.float32(1e-9)


def detect_photons(
    rng: np.random.Generator, photons: Float32Array, detector: DetectorState, kernels: Kernels
) -> Float32Array:
    """Draw the measured photoelectrons of each sensor.

    Args:
        rng: Source of randomness.
        photons: Expected light, shape (n, 4760).
        detector: Efficiencies and noise.
        kernels: Loops to work with.

    Returns:
        Photoelectrons with excess and electronic noise, shape (n, 4760); small ones may be negative.
    """
    mean = photons * detector.efficiency
    is_small = mean < _POISSON_BELOW
    uniform = rng.random(mean.shape, dtype=np.float32)
    counts = kernels.poisson_counts(np.minimum(mean, _POISSON_BELOW), uniform)
    detected = np.where(is_small, counts, mean)
    # The counts have Poisson's variance already; only the excess is left to draw.
    variance = detected * (detector.excess_noise - is_small)
    variance += detector.noise**2
    np.sqrt(variance, out=variance)
    variance *= standard_normal(rng, mean.shape)
    detected += variance
    return detected


def standard_normal(rng: np.random.Generator, shape: tuple[int, int]) -> Float32Array:
    """Draw standard normal numbers in single precision; the last axis must be even.

    Source: Box and Muller, Ann. Math. Stat. 29, 610 (1958): twice as fast here as NumPy's generator, since its
        logarithms and sines run in vectors.
    """
    half = shape[1] // 2
    radius = np.sqrt(-2 * np.log1p(-rng.random((shape[0], half), dtype=np.float32)))
    azimuth = np.float32(2 * np.pi) * rng.random((shape[0], half), dtype=np.float32)
    return np.concatenate([radius * np.cos(azimuth), radius * np.sin(azimuth)], axis=1)


def measure_times(
    rng: np.random.Generator,
    photoelectrons: Float32Array,
    light: Light,
    start: FloatArray,
    *,
    detector: DetectorState,
    timing: TimingConfig,
) -> Float32Array:
    """Draw the time of each sensor whose pulse is large enough.

    Args:
        rng: Source of randomness.
        photoelectrons: Measured ones, shape (n, 4760).
        light: When the light arrives, counted from the start of the event.
        start: When each event starts, ns, shape (n,).
        detector: Offsets of the channels.
        timing: How time is measured.

    Returns:
        Seconds, shape (n, 4760); ``NO_VALUE`` for small pulses.
    """
    # Places in the flattened array: a third of all, gathered faster than by event and sensor.
    place = np.flatnonzero(photoelectrons >= timing.min_photoelectrons)
    event, sensor = np.divmod(place.astype(np.int32), np.int32(NUM_SENSORS))
    inverse_root = 1 / np.sqrt(photoelectrons.ravel()[place])
    sigma = np.sqrt(np.square(np.float32(timing.statistics) * inverse_root) + np.float32(timing.constant**2))
    common = start + timing.event_jitter * rng.standard_normal(len(start))
    time = light.arrival.ravel()[place] + np.float32(timing.walk) * inverse_root + detector.time_offset[sensor]
    time += sigma * rng.standard_normal(len(place), dtype=np.float32)
    time += common.astype(np.float32)[event]
    measured = np.full(photoelectrons.shape, NO_VALUE, dtype=np.float32)
    measured.ravel()[place] = time * _SECONDS_PER_NS
    return measured


def relative_to_event(
    npho: Float32Array, time: Float32Array, photoelectrons: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """Return photon counts relative to the largest, and times relative to the earliest sensor with a good pulse.

    Args:
        npho: Photons, shape (n, 4760), ``NO_VALUE`` for dead channels.
        time: Seconds, shape (n, 4760), ``NO_VALUE`` where there is none.
        photoelectrons: Measured ones, shape (n, 4760).
    """
    has_npho, has_time = npho < INVALID_ABOVE, time < INVALID_ABOVE
    largest = np.where(has_npho, npho, np.float32(0)).max(axis=1, keepdims=True)
    good = has_time & (photoelectrons > _REFERENCE_PHOTOELECTRONS)
    earliest = np.where(good, time, np.float32(NO_VALUE)).min(axis=1, keepdims=True)
    relative_npho = np.where(has_npho & (largest > 0), npho / np.where(largest > 0, largest, 1), np.float32(NO_VALUE))
    relative_time = np.where(has_time & (earliest < INVALID_ABOVE), time - earliest, np.float32(NO_VALUE))
    return relative_npho, relative_time
