"""The macro must draw the runs that are asked for, and say in words what the store does not have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.cli.entry import run_command
from lib.errors import ConfigError
from lib.evaluation.runs.metric_figure import RunHistory, draw_metrics, read_histories
from lib.training.records.mlflow_store import MlflowStore
from macro.plot_mlflow import main

# Importing MLflow and what it brings warns of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store with three runs; the second has the lowest loss, the third no loss at all."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        uri = f"sqlite:///{folder / 'runs.db'}"
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        store = MlflowStore(uri, "xec")
        for name, loss in (("worse", 2.0), ("better", 1.0), ("lost", None)):
            run_id = store.open_run(name, name, {}, {"sweep": "a" if loss else "b"})
            for step in (1, 2):
                best = {} if loss is None else {"val/loss": loss / step, "val/loss_best": loss / step}
                store.log_metrics(run_id, {"grad_norm_max": 100.0**step, **best}, step, step)
        yield uri


def test_the_best_runs_come_first_with_their_whole_history(uri: str) -> None:
    runs = read_histories(uri, "xec", ["val/loss"], search="tags.sweep = 'a'", num_best=5)
    assert [run.name for run in runs] == ["better", "worse"]
    assert runs[0].points == {"val/loss": [(1, 1.0), (2, 0.5)]}
    assert len(read_histories(uri, "xec", ["val/loss"], search="", num_best=1)) == 1


def test_a_panel_spanning_decades_is_logarithmic() -> None:
    run = RunHistory("a", {"x": [(1, 1.0), (2, 2.0)], "y": [(1, 1.0), (2, 1e4)]})
    panels = draw_metrics([run, RunHistory("b", {"x": [(1, 3.0)]})], ["x", "y"]).axes
    assert [axes.get_yscale() for axes in panels] == ["linear", "log"]
    assert [len(axes.lines) for axes in panels] == [2, 1]


def test_the_figure_is_written(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "curves.pdf"
    assert main(["val/loss", "grad_norm_max", "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"%PDF")
    assert "3 runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("experiment", "metric", "search", "message"),
    [
        ("xek", "val/loss", "", "no experiment 'xek'; nearest: xec"),
        ("xec", "val/los", "", "No run has the metric 'val/los'; nearest: val/loss"),
        ("xec", "val/loss", "tags.sweep = 'c'", "has no run that meets"),
        ("xec", "val/loss", "no search at all", "cannot be used"),
    ],
)
def test_what_the_store_does_not_have_is_named(
    uri: str, experiment: str, metric: str, search: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_histories(uri, experiment, [metric], search=search, num_best=5)


def test_another_suffix_is_the_users_mistake(tmp_path: Path) -> None:
    assert run_command(main, ["val/loss", "--output", str(tmp_path / "curves.doc")]) == 2
