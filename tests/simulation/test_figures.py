"""The figures by which the simulation is known, at 52.83 MeV with the default preset.

Tolerances are three statistical errors of 2500 events, or the last digit of the figure where that is more.
"""

import numpy as np
import pytest

from lib.data.branches import VERTEX, XYZ
from lib.simulation.events import Columns, EventSimulator
from lib.simulation.validation import Tally, conversion_path, light_errors


@pytest.fixture(scope="module")
def tally(simulator: EventSimulator, events: Columns) -> Tally:
    tally = Tally(simulator.detector.calibration)
    for first in range(0, len(events["run"]), 1000):
        tally.add({name: values[first : first + 1000] for name, values in events.items()})
    return tally


@pytest.mark.parametrize(
    ("name", "expected", "tolerance"),
    [
        ("conversion_length_cm", 5.6, 0.42),
        ("fraction_w_below_2cm", 0.32, 0.026),
        ("deposited_fraction", 0.97, 0.006),
        ("photoelectrons", 76_000, 1500),
        ("fraction_with_time", 0.36, 0.01),
        ("fraction_above_100", 0.24, 0.01),
    ],
)
def test_the_simulation_reaches_its_figures(tally: Tally, name: str, expected: float, tolerance: float) -> None:
    mean, error = tally.mean(name)
    assert error < tolerance
    assert mean == pytest.approx(expected, abs=tolerance)


def test_a_tally_does_not_depend_on_how_events_are_grouped(
    simulator: EventSimulator, events: Columns, tally: Tally
) -> None:
    whole = Tally(simulator.detector.calibration)
    whole.add(events)
    for name in whole.sums:
        assert whole.mean(name) == pytest.approx(tally.mean(name), rel=1e-5)


def test_light_of_every_sensor_is_within_three_percent_of_the_exact_integral(simulator: EventSimulator) -> None:
    config = simulator.config
    sensors = simulator.detector.sensors
    errors = light_errors(simulator.light, sensors, config, np.random.default_rng(5), num_sources=60)
    assert errors.max() < 0.03


def test_conversion_path_starts_at_the_surface_of_the_mppcs() -> None:
    vertex = np.zeros((1, 3))
    first = np.array([[-70.0, 0.0, 0.0]])
    path, entry = conversion_path(vertex, first)
    np.testing.assert_allclose(path, [70.0 - 64.97])
    np.testing.assert_allclose(entry, [[-64.97, 0.0, 0.0]])


def test_conversion_path_does_not_depend_on_a_shift_of_the_vertex_along_the_flight(events: Columns) -> None:
    vertex, first = events[VERTEX], events[XYZ]
    nearer = vertex + 0.5 * (first - vertex)
    np.testing.assert_allclose(conversion_path(nearer, first)[0], conversion_path(vertex, first)[0], atol=1e-9)
