"""Rows of restored sensors give back the scores that they were made with."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.data.branches import NO_VALUE
from lib.errors import DataError
from lib.evaluation.restoration.restoration_figures import QUANTITIES, Named, draw_analysis, draw_faces
from lib.evaluation.restoration.restoration_report import describe_side_by_side, describe_table, side_by_side
from lib.evaluation.restoration.restoration_table import binned_scores, face_scores, read_rows, score

COUNT = 4000
RNG = np.random.default_rng(0)
FACE = RNG.integers(0, 6, COUNT).astype(np.int8)
TRUTH = RNG.uniform(10.0, 1000.0, COUNT).astype(np.float32)
NOISE = RNG.normal(size=COUNT).astype(np.float32)


def write(path: Path, **columns: np.ndarray) -> Path:
    rows = {
        "face": FACE, "npho_truth": TRUTH, "npho_pred": TRUTH + 10 * NOISE, "npho_neighbours": 1.1 * TRUTH + 20 * NOISE,
        "npho_error": 10 * NOISE,
    }  # fmt: skip
    with uproot.recreate(path) as file:
        file["tree"] = rows | columns
    return path


def test_a_gaussian_error_has_its_68_percent_and_no_bias(tmp_path: Path) -> None:
    table = read_rows(write(tmp_path / "a.root"))
    assert set(table.restored) == {"model", "neighbours"}
    everything = np.ones(COUNT, dtype=bool)
    found = score(table, "model", everything)
    # 68 % of a normal distribution lie within 0.9945 standard deviations.
    assert found.error == pytest.approx(9.945, abs=4 * found.error_error)
    assert 0.05 < found.error_error < 0.5
    assert abs(found.bias) < 0.002
    assert score(table, "neighbours", everything).bias == pytest.approx(0.1, abs=0.003)
    assert found.count == COUNT
    assert score(table, "model", ~everything).count == 0


def test_expected_light_is_compared_with_where_the_rows_know_it(tmp_path: Path) -> None:
    table = read_rows(write(tmp_path / "a.root", npho_expected=TRUTH + 10 * NOISE))
    assert table.is_expected
    assert score(table, "model", np.ones(COUNT, dtype=bool)).error == pytest.approx(0.0, abs=1e-3)
    assert set(table.restored) == {"model", "neighbours"}


def test_dead_sensors_are_counted_and_not_compared(tmp_path: Path) -> None:
    dead = np.arange(COUNT) < 100
    truth = np.where(dead, NO_VALUE, TRUTH).astype(np.float32)
    table = read_rows(write(tmp_path / "a.root", npho_truth=truth, is_dead=dead.astype(np.int8)))
    assert (len(table.face), table.num_dead) == (COUNT - 100, 100)
    assert "100 dead ones restored beside them" in describe_table(table)


def test_scores_of_faces_and_bins_are_those_of_their_sensors(tmp_path: Path) -> None:
    table = read_rows(write(tmp_path / "a.root"))
    faces = face_scores(table, "model")
    assert list(faces) == ["all faces", "inner", "outer", "us", "ds", "top", "bottom"]
    assert faces["top"].count == (FACE == 4).sum()
    assert sum(one.count for name, one in faces.items() if name != "all faces") == COUNT
    bins = binned_scores(table, "neighbours", table.truth, np.array([0.0, 5.0, 500.0, 2000.0]))
    assert [one.count for one in bins] == [0, (TRUTH < 500).sum(), (TRUTH >= 500).sum()]
    assert bins[2].error > bins[1].error


def test_models_stand_beside_each_other_and_the_methods_of_the_first(tmp_path: Path) -> None:
    run = tmp_path / "my_run"
    run.mkdir()
    for epoch in (2, 10):
        write(run / f"inpainter_predictions_epoch_{epoch}.root", npho_pred=TRUTH + epoch * NOISE)
    sources = [write(tmp_path / "restored_a.root"), run]
    shown = side_by_side(sources)
    assert list(shown) == ["a", "my_run", "neighbours"]
    text = describe_side_by_side(shown)
    best, found = (
        score(shown[name].table, shown[name].name, np.ones(COUNT, bool)).error for name in ("neighbours", "a")
    )
    assert f"({found / best:.2f} x)" in text
    assert score(shown["my_run"].table, "model", np.ones(COUNT, bool)).error == pytest.approx(found), (
        "of the last epoch"
    )
    assert text.splitlines()[1].count(" x)") == 2
    with pytest.raises(DataError, match="have the same name"):
        side_by_side([sources[0], sources[0]])


def test_what_holds_no_rows_is_refused(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "other.root") as file:
        file["tree"] = {"npho": TRUTH}
    with pytest.raises(DataError, match="holds no restored sensors; expected a tree"):
        read_rows(tmp_path / "other.root")
    with pytest.raises(DataError, match="no sensor was hidden"):
        read_rows(write(tmp_path / "dead.root", npho_truth=np.full(COUNT, NO_VALUE, np.float32)))
    with pytest.raises(DataError, match="holds no restored sensors; expected inpainter_predictions"):
        side_by_side([tmp_path])


def test_figures_show_what_the_rows_know(tmp_path: Path) -> None:
    plain = read_rows(write(tmp_path / "a.root"))
    whole = read_rows(
        write(tmp_path / "b.root", distance=RNG.uniform(0, 100, COUNT), cluster_size=RNG.integers(1, 9, COUNT))
    )
    for table, pages in ((plain, 2), (whole, 4)):
        shown = {name: Named(table, name) for name in table.restored}
        assert len(draw_analysis(shown)) == pages
    bars = draw_faces({"a": Named(plain, "model"), "b": Named(plain, "neighbours")}).axes[0]
    heights = sorted(patch.get_height() for patch in bars.patches)
    expected = sorted(one.error for name in ("model", "neighbours") for one in face_scores(plain, name).values())
    np.testing.assert_allclose(heights, expected)
    lines = draw_analysis({"a": Named(whole, "model")})[3].axes[0].lines[0]
    sizes = whole.beside[QUANTITIES[2].name]
    chosen = (sizes >= 4) & (sizes <= 5)
    relative = 100 * score(whole, "model", chosen).error / whole.truth[chosen].mean()
    np.testing.assert_allclose(np.asarray(lines.get_ydata())[3], relative)
