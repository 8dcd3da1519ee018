"""The detector is a function of its seed, and of the run where that is asked for."""

from pathlib import Path

import numpy as np
import pytest

from lib.errors import ConfigError
from lib.geometry.sensors import NUM_MPPC, nominal_sensors
from lib.simulation.detector_state import build_detector, read_channel_list
from lib.simulation.presets import build_config
from lib.simulation.survey import displaced_sensors


def test_the_detector_is_the_same_in_all_runs_unless_asked_otherwise() -> None:
    first, second = (build_detector(build_config(), run) for run in (1, 2))
    np.testing.assert_array_equal(first.dead, second.dead)
    np.testing.assert_array_equal(first.calibration, second.calibration)
    changing = build_config(assignments=["detector.per_run=true"])
    third, fourth = (build_detector(changing, run) for run in (1, 2))
    assert not np.array_equal(third.dead, fourth.dead)
    assert not np.array_equal(third.time_offset, fourth.time_offset)
    np.testing.assert_array_equal(third.efficiency, fourth.efficiency)


def test_channels_spread_as_configured() -> None:
    detector = build_detector(build_config(), 1)
    mppc = detector.efficiency[:NUM_MPPC]
    # Five statistical errors of 4092 channels.
    assert mppc.mean() == pytest.approx(0.08, abs=5 * 0.008 / 64)
    assert mppc.std() / mppc.mean() == pytest.approx(0.10, abs=0.006)
    assert np.std(detector.calibration / detector.efficiency) == pytest.approx(0.02, abs=0.0012)
    assert np.std(detector.time_offset) == pytest.approx(0.03, abs=0.002)
    assert set(detector.noise.tolist()) == {2.0, 1.0}


def test_dead_channels_come_from_the_list_and_the_draw(tmp_path: Path) -> None:
    path = tmp_path / "dead.txt"
    path.write_text("17 4755  # two of them\n3\n")
    np.testing.assert_array_equal(read_channel_list(path), [17, 4755, 3])
    detector = build_detector(build_config(assignments=["dead.number=0", f"dead.list_file={path}"]), 1)
    np.testing.assert_array_equal(np.flatnonzero(detector.dead), [3, 17, 4755])


@pytest.mark.parametrize(
    ("text", "message"), [("12 x", "not a list of sensor ids"), ("4760", "from 0 to 4759, got 4760")]
)
def test_a_list_that_names_no_sensors_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "dead.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_channel_list(path)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a list of sensor ids"):
        read_channel_list(tmp_path / "none.txt")


def test_a_positions_file_moves_the_sensors(tmp_path: Path) -> None:
    positions = nominal_sensors().positions + np.array([0.1, 0.0, -0.2])
    path = tmp_path / "survey.txt"
    np.savetxt(path, np.column_stack([np.arange(4760), positions]))
    detector = build_detector(build_config(assignments=[f"detector.positions_file={path}"]), 1)
    np.testing.assert_allclose(detector.sensors.positions, positions)


def test_a_displaced_face_is_smooth_and_as_far_off_as_asked() -> None:
    shift = displaced_sensors(np.random.default_rng(1), 0.65).positions - nominal_sensors().positions
    assert np.sqrt(np.mean(np.sum(shift[:NUM_MPPC] ** 2, axis=1))) == pytest.approx(0.65)
    assert not shift[NUM_MPPC:].any()
    image = shift[:NUM_MPPC].reshape(93, 44, 3)
    # Neighbours move together: a tenth of the shift at most between two of them.
    assert np.abs(np.diff(image, axis=0)).max() < 0.1
    assert np.abs(np.diff(image, axis=1)).max() < 0.2
