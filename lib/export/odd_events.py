"""Events for comparing two forms of a model: ordinary ones, and all that a detector can do to a reader."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import NO_VALUE
from lib.geometry.sensors import NUM_SENSORS, nominal_sensors

FloatArray = NDArray[np.float32]

KINDS = (
    "ordinary",
    "all invalid",
    "dead channels",
    "all zero",
    "saturated",
    "negative charge",
    "one live sensor",
    "not finite",
)
"""What the events are, in turn."""

_SATURATED_NPHO = 1e6
# Five of them and eight kinds of events make forty combinations.
_DEAD_SHARES = (0.02, 0.0, 0.1, 0.5, 1.0)
_CENTRE_CM = (-80.0, 0.0, 0.0)


def generate_events(count: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return sensor readings, whose kinds are those of ``KINDS`` over and over.

    Args:
        count: Number of events.
        rng: Where chance comes from.

    Returns:
        Photons and seconds, shape (count, 4760) each, float32.
    """
    readings = [_event(KINDS[index % len(KINDS)], rng) for index in range(count)]
    return np.stack([npho for npho, _ in readings]), np.stack([time for _, time in readings])


def generate_readings(count: int, rng: np.random.Generator, inputs: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return arguments of an exported function by name, shape (count, 4760) each.

    Args:
        count: Number of events.
        rng: Where chance comes from.
        inputs: npho, time and perhaps dead, which is another share of the sensors in each event, from none to all,
            and among them sensors that have a reading.
    """
    npho, time = generate_events(count, rng)
    readings: dict[str, NDArray[Any]] = {"npho": npho, "time": time}
    if "dead" in inputs:
        shares = np.resize(_DEAD_SHARES, count)
        readings["dead"] = rng.random((count, NUM_SENSORS)) < shares[:, None]
    return readings


def _event(kind: str, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    npho, time = _light_of_a_point(rng)
    dead = np.zeros(NUM_SENSORS, dtype=np.bool_)
    match kind:
        case "all invalid":
            dead[:] = True
        case "dead channels":
            dead = rng.random(NUM_SENSORS) < 0.1
        case "all zero":
            npho[:], time[:] = 0.0, 0.0
        case "saturated":
            npho[:] = _SATURATED_NPHO
        case "negative charge":
            npho = -npho
        case "one live sensor":
            dead = np.arange(NUM_SENSORS) != rng.integers(NUM_SENSORS)
        case "not finite":
            npho[::3], npho[1::7], time[::2], time[1::5] = np.nan, -np.inf, np.inf, np.nan
    npho[dead], time[dead] = NO_VALUE, NO_VALUE
    return npho, time


def _light_of_a_point(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return photons that fall with the squared distance from a point in the xenon, and times of their flight."""
    point = np.asarray(_CENTRE_CM) + rng.uniform((-12.0, -40.0, -20.0), (12.0, 40.0, 20.0))
    distance = np.linalg.norm(nominal_sensors().positions - point, axis=1)
    npho = rng.poisson(3e5 / (distance**2 + 4.0)) + rng.normal(0.0, 2.0, NUM_SENSORS)
    start = rng.uniform(-2e-8, 2e-8)
    time = start + distance / 1.67e10 + rng.normal(0.0, 1e-9, NUM_SENSORS)  # c / 1.80 is 1.67e10 cm/s
    return npho.astype(np.float32), time.astype(np.float32)
