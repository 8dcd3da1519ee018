"""Scores of restored channels, against closed forms."""

import numpy as np
import pytest

from lib.evaluation.restoration.restoration_scores import ScoredSensors
from lib.geometry.sensors import FACE_NAMES, nominal_sensors


@pytest.fixture(scope="module")
def sensors() -> ScoredSensors:
    rng = np.random.default_rng(1)
    expected = np.full((40, 4760), 2000.0)
    measured = expected + rng.normal(0, 100.0, expected.shape)
    hidden = rng.random(expected.shape) < 0.5
    restored = {"off": expected + 30.0, "noisy": expected + rng.normal(0, 50.0, expected.shape)}
    parts = [
        ScoredSensors.pick(hidden[k], measured[k], expected[k], {name: one[k] for name, one in restored.items()})
        for k in (slice(0, 25), slice(25, 40))
    ]
    return ScoredSensors.join(parts)


@pytest.mark.parametrize("face", FACE_NAMES)
def test_the_light_error_is_the_68_percent_of_a_face(sensors: ScoredSensors, face: str) -> None:
    assert sensors.light_error("off", face) == pytest.approx(30.0)
    # 68 % of a normal distribution lie within 0.9945 of its width; 1400 sensors at least, so 4 % are two deviations.
    assert sensors.light_error("noisy", face) == pytest.approx(0.9945 * 50.0, rel=0.08)


def test_bright_sensors_are_compared_with_what_noise_leaves(sensors: ScoredSensors) -> None:
    assert sensors.bright_error_over_floor("noisy", "inner") == pytest.approx(np.hypot(1.0, 0.5), rel=0.02)


def test_the_bias_is_a_share_of_the_light_of_its_decade(sensors: ScoredSensors) -> None:
    assert sensors.bias("off", (1e3, 1e4)) == pytest.approx(0.015)
    assert np.isnan(sensors.bias("off", (10.0, 100.0)))


def test_each_sensor_is_on_its_face(sensors: ScoredSensors) -> None:
    counts = [sensors.of_face(face).sum() for face in FACE_NAMES]
    expected = 20 * np.bincount(nominal_sensors().face_codes)
    np.testing.assert_allclose(counts, expected, rtol=0.1)
