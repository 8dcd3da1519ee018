"""Tables of predictions must give back what was written, and refuse what is no table of one run."""

from pathlib import Path

import numpy as np
import pytest

from lib.errors import DataError
from lib.evaluation.prediction_table import (
    EventColumns,
    evaluate_tables,
    find_tables,
    prediction_tables,
    read_tables,
    table_path,
)


def columns(count: int = 50, first: int = 0) -> EventColumns:
    rng = np.random.default_rng(first)
    true = {"uvwFI": rng.normal(size=(count, 3)), "n_gamma": rng.integers(0, 5, (count, 1)).astype(float)}
    predicted = {
        "uvwFI": true["uvwFI"] + 0.1, "uvwFI_sigma": np.full((count, 3), 0.2),
        "n_gamma": rng.dirichlet(np.ones(5), count),
    }  # fmt: skip
    return EventColumns(np.full(count, 7), np.arange(first, first + count), predicted, true)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with prediction_tables(tmp_path, "r", ["uvwFI", "n_gamma"]) as tables:
        tables.write(columns())
        tables.write(columns(first=50))
    return tmp_path


def test_tables_give_back_what_was_written(folder: Path) -> None:
    (found,) = read_tables(find_tables(folder, None))
    assert found.run.tolist() == [7] * 100
    assert found.event.tolist() == list(range(100))
    parts = columns(), columns(first=50)
    for name, values in found.predicted.items():
        np.testing.assert_array_equal(values, np.concatenate([part.predicted[name] for part in parts]))
    for name, values in found.true.items():
        np.testing.assert_array_equal(values, np.concatenate([part.true[name] for part in parts]))


def test_columns_are_named(folder: Path) -> None:
    with table_path(folder, "uvwFI", "r").open(encoding="utf-8") as file:
        header = file.readline().strip()
    assert header == "run,event,true_u,true_v,true_w,pred_u,pred_v,pred_w,sigma_u,sigma_v,sigma_w"


def test_the_evaluation_of_tables_has_all_events(folder: Path) -> None:
    evaluation = evaluate_tables(find_tables(folder, "r"))
    assert evaluation.num_events == 100
    summary = evaluation.tasks["uvwFI"].summaries()[0]
    assert (summary.num_events, summary.core.mean) == (100, pytest.approx(1.0, rel=1e-3))
    assert evaluation.tasks["uvwFI"].calibration_summaries()[0].coverage == 1.0


def test_a_failed_run_leaves_no_table(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in between"), prediction_tables(tmp_path, "r", ["uvwFI"]) as tables:
        tables.write(columns())
        raise RuntimeError("in between")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_tables_or_with_those_of_two_runs_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no table predictions_<task>_other\.csv"):
        find_tables(folder, "other")
    with prediction_tables(folder, "second", ["uvwFI"]) as tables:
        tables.write(columns())
    with pytest.raises(DataError, match=r"tables of several runs \(predictions_uvwFI_r.csv, predictions_uvwFI_second"):
        find_tables(folder, None)


def test_other_files_are_refused_with_their_name(folder: Path) -> None:
    path = table_path(folder, "uvwFI", "r")
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace("true_u", "u_true"), encoding="utf-8")
    with pytest.raises(DataError, match=r"predictions_uvwFI_r.csv: expected a table with the columns run, event, true"):
        list(read_tables(find_tables(folder, None)))
    path.write_text(content.replace("7,3,", "7,x,", 1), encoding="utf-8")
    with pytest.raises(DataError, match="a line does not hold 11 numbers"):
        list(read_tables(find_tables(folder, None)))
    path.write_text(content.replace("7,3,", "7,4,", 1), encoding="utf-8")
    with pytest.raises(DataError, match="hold different events"):
        list(read_tables(find_tables(folder, None)))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_tables({"uvwFI": folder / "none.csv"}))
