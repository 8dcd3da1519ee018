"""The conventional reconstruction must reach its resolutions, and survive whatever events hold."""

from pathlib import Path

import numpy as np
import pytest

from lib.baselines.conventional import ConventionalReconstruction
from lib.data.branches import NO_VALUE
from lib.errors import DataError
from lib.geometry.coordinates import emission_angles
from lib.simulation.events import Columns


def core(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the values within two standard deviations of the mean."""
    mean, sigma = float(np.median(values)), float(np.diff(np.percentile(values, [16, 84]))[0]) / 2
    for _ in range(20):
        inside = values[np.abs(values - mean) < 2 * sigma]
        mean, sigma = float(inside.mean()), float(inside.std()) / 0.8796
    return mean, sigma


@pytest.fixture(scope="module")
def reconstruction(fit_events: Columns) -> ConventionalReconstruction:
    return ConventionalReconstruction.fit(fit_events["npho"], fit_events["time"], fit_events)


@pytest.fixture(scope="module")
def residuals(reconstruction: ConventionalReconstruction, test_events: Columns) -> dict[str, np.ndarray]:
    found = reconstruction.reconstruct(test_events["npho"], test_events["time"])
    shift = 10 * (found["uvw"] - test_events["uvwTruth"])
    return {
        "energy_percent": 100 * (found["energy"] / test_events["energyTruth"] - 1),
        "u_mm": shift[:, 0],
        "v_mm": shift[:, 1],
        "w_mm": shift[:, 2],
        "time_ps": 1e12 * (found["time"] - test_events["timeTruth"]),
    }


@pytest.mark.parametrize(
    ("name", "required"),
    [("energy_percent", 1.96), ("u_mm", 4.0), ("v_mm", 3.75), ("w_mm", 3.4), ("time_ps", 62.0)],
)
def test_resolutions_are_reached(residuals: dict[str, np.ndarray], name: str, required: float) -> None:
    bias, sigma = core(residuals[name])
    # Ten percent are allowed, and 1000 events know a width to 4 %.
    assert sigma < 1.1 * required
    # No bias beyond a quarter of the width, of which the fit to 2000 events may leave some.
    assert abs(bias) < 0.25 * sigma


def test_a_saved_reconstruction_says_the_same(
    reconstruction: ConventionalReconstruction, test_events: Columns, tmp_path: Path
) -> None:
    path = tmp_path / "conventional.npz"
    reconstruction.save(path)
    npho, time = test_events["npho"][:20], test_events["time"][:20]
    found, expected = (
        ConventionalReconstruction.load(path).reconstruct(npho, time),
        reconstruction.reconstruct(npho, time),
    )
    np.testing.assert_array_equal(found["uvw"], expected["uvw"])
    np.testing.assert_array_equal(found["energy"], expected["energy"])
    np.testing.assert_array_equal(found["time"], expected["time"])
    np.testing.assert_array_equal(found["angle"], expected["angle"])


def test_the_angle_points_from_the_centre_of_the_target(
    reconstruction: ConventionalReconstruction, test_events: Columns
) -> None:
    found = reconstruction.reconstruct(test_events["npho"][:200], test_events["time"][:200])
    true = emission_angles(test_events["xyzTruth"][:200])
    assert np.median(np.abs(found["angle"] - true)) < 0.5


def test_an_event_does_not_depend_on_its_company(
    reconstruction: ConventionalReconstruction, test_events: Columns
) -> None:
    npho, time = test_events["npho"][:600], test_events["time"][:600]
    alone = reconstruction.reconstruct(npho[550:551], time[550:551])
    together = reconstruction.reconstruct(npho, time)
    np.testing.assert_allclose(alone["uvw"][0], together["uvw"][550], atol=1e-3)
    np.testing.assert_allclose(alone["energy"][0], together["energy"][550], rtol=1e-4)


@pytest.mark.parametrize("npho", [0.0, NO_VALUE, -5.0, np.nan])
def test_an_event_without_light_has_no_time_and_a_finite_place(
    reconstruction: ConventionalReconstruction, npho: float
) -> None:
    found = reconstruction.reconstruct(
        np.full((2, 4760), npho, dtype=np.float32), np.full((2, 4760), NO_VALUE, dtype=np.float32)
    )
    assert np.all(np.isfinite(found["uvw"]))
    assert np.all(np.isfinite(found["energy"]))
    assert np.all(np.isnan(found["time"]))


def test_truth_is_needed_for_the_fit(fit_events: Columns) -> None:
    truth = {name: fit_events[name] for name in ("energyTruth", "uvwTruth")}
    with pytest.raises(DataError, match="needs the branch 'timeTruth'"):
        ConventionalReconstruction.fit(fit_events["npho"], fit_events["time"], truth)


def test_a_small_sample_is_refused(fit_events: Columns) -> None:
    few = {name: values[:50] for name, values in fit_events.items()}
    with pytest.raises(DataError, match="fitted to 300 events or more, got 50"):
        ConventionalReconstruction.fit(few["npho"], few["time"], few)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a conventional reconstruction"):
        ConventionalReconstruction.load(path)


def test_a_file_without_the_polynomials_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, other=np.zeros(3))
    with pytest.raises(DataError, match="not a conventional reconstruction"):
        ConventionalReconstruction.load(path)
