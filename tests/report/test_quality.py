"""Resolutions, predicted errors and faces must be those of the folder, beside what they are compared with."""

import re
from pathlib import Path

import pytest

from lib.report import quality
from lib.report.run_folder import RunFolder, read_run
from tests.report.made_run import add_conventional, add_face_weights, add_predictions, make_run

FACES = ("inner", "outer", "us", "ds", "top", "bottom")


def run_with(tmp_path: Path, sigma: float | None = None) -> RunFolder:
    folder = make_run(tmp_path / "run")
    add_predictions(folder, "run", 4000, sigma=sigma)
    return read_run(folder)


def cells(markup: str, row: str) -> list[str]:
    """Cells of the row of a table that begins with some text."""
    found = re.search(rf'<th scope="row">{re.escape(row)}</th>(.*?)</tr>', markup)
    assert found, row
    return re.findall(r"<td>(.*?)</td>", found[1])


def test_the_conventional_reconstruction_and_the_bound_stand_beside_the_network(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    add_predictions(folder, "run")
    add_conventional(folder, "run")
    shown = cells(quality.resolutions(read_run(folder)), "energy (%)")
    network, conventional = (float(shown[column].split()[0]) for column in (1, 4))
    assert conventional == pytest.approx(2 * network, rel=0.02)
    assert shown[-1] == "0.83"


def test_the_resolution_is_drawn_along_the_truth(tmp_path: Path) -> None:
    markup = quality.resolutions(run_with(tmp_path))
    assert "energy along the true energy" in markup
    # 40 to 60 MeV are four bins.
    errors = re.findall('class="error"', markup)
    assert len(errors) == 4


@pytest.mark.parametrize(("sigma", "ratio"), [(1e-3, 1.0), (0.5e-3, 2.0)])
def test_predicted_errors_that_are_right_have_the_ratio_one(tmp_path: Path, sigma: float, ratio: float) -> None:
    markup = quality.calibration(run_with(tmp_path, sigma))
    # 2 % of 50 MeV are 1 MeV; 4000 events know the ratio to 2 %.
    assert float(cells(markup, "energy: energy")[1].split()[0]) == pytest.approx(ratio, rel=0.06)
    assert "equal errors" in markup


def test_without_predicted_errors_there_is_no_such_part(tmp_path: Path) -> None:
    assert quality.calibration(run_with(tmp_path)) == ""


def test_each_face_of_a_regressor_has_its_bar(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    assert quality.faces(read_run(folder)) == ""
    add_face_weights(folder, "run")
    markup = quality.faces(read_run(folder))
    heights = [float(height) for height in re.findall(r'height="([\d.]+)" class="bars"', markup)]
    assert len(heights) == 2
    assert heights[0] > heights[1]
    assert "inner 40, outer 4" in markup


def test_each_face_of_an_autoencoder_has_its_curve(tmp_path: Path) -> None:
    metrics = {f"val/npho_mae_normalized_{face}": 0.1 * number for number, face in enumerate(FACES, start=1)}
    markup = quality.faces(read_run(make_run(tmp_path / "run", metrics=metrics)))
    assert len(re.findall('class="series-[0-5]"><polyline points="[^"]* ', markup)) >= 6
    assert all(f"{face}: 3 points" in markup for face in FACES)
