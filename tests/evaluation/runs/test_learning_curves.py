"""Learning curves and what pretraining gains."""

from pathlib import Path

import numpy as np
import pytest

from lib.errors import DataError
from lib.evaluation.runs.learning_curves import draw_curves, format_gains, read_curves
from lib.training.records.journal import Journal


def run(folder: Path, losses: list[float]) -> Path:
    folder.mkdir()
    journal = Journal(folder)
    for epoch, loss in enumerate(losses, start=1):
        journal.append(epoch, {"val/loss": loss, "energy_res_68pct": 1e-3 * loss, "lr": 0.1})
    journal.flush()
    return folder


def test_curves_are_in_the_units_of_the_axes(tmp_path: Path) -> None:
    curves = read_curves(run(tmp_path / "a", [3.0, 2.0]))
    assert list(curves) == ["val/loss", "energy_res_68pct"]
    np.testing.assert_allclose(curves["energy_res_68pct"], [3.0, 2.0])


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no metrics of a run"):
        read_curves(tmp_path)


def test_the_gain_is_the_change_of_the_means_with_its_error(tmp_path: Path) -> None:
    groups = {
        "scratch": [read_curves(run(tmp_path / f"s{i}", [9.0, last])) for i, last in enumerate((2.0, 2.2, 1.8))],
        "mae": [read_curves(run(tmp_path / f"m{i}", [5.0, last])) for i, last in enumerate((1.0, 1.1, 0.9))],
    }
    table = format_gains(groups, "scratch", "mae").splitlines()
    # Standard deviations 0.2 and 0.1 over sqrt(3); relative errors of 5.8 % each, 8.2 % together, of a ratio of 1/2.
    assert table[1].split("  ")[0] == "validation loss"
    assert "2.00 ± 0.12" in table[1]
    assert "1.000 ± 0.058" in table[1]
    assert table[1].endswith("−50.0 ± 4.1")
    figure = draw_curves(groups)
    assert [axes.get_ylabel() for axes in figure.axes] == ["validation loss", "energy, 68 % (MeV)"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "scratch (mean of 3)", "mae (mean of 3)",
    ]  # fmt: skip
    figure.draw_without_rendering()
