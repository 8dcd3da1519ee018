"""What a training logs must be found and shown by the pages of MLflow."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import yaml

from lib.cli.entry import EXIT_DONE, run_command
from lib.train_regressor import main
from lib.training.records.mlflow_store import MlflowStore
from tests.browser.mlflow_ui import mlflow_ui
from tests.data.root_files import make_events, write_root

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, ViewportSize

# Importing MLflow and what it brings warns of their own futures.
pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.filterwarnings("ignore")]

TINY = {
    "stage_dims": [4], "stage_depths": [1], "inner_patch": 4, "encoder_dim": 8, "num_heads": 2, "dim_feedforward": 8,
    "num_fusion_layers": 1, "hidden_dim": 4,
}  # fmt: skip
CONFIG = {
    "kind": "regressor",
    "data": {"train_path": "train", "val_path": "val", "batch_size": 8, "chunksize": 64, "num_threads": 1},
    "model": TINY,
    "tasks": {"energy": {}, "uvwFI": {}},
    "training": {"epochs": 3, "lr": 1e-3, "amp": "none"},
    "export": {"onnx": True},
    "mlflow": {"tags": {"sweep": "night"}},
}
RATES = {"slow": "1e-3", "fast": "2e-3"}
PATIENCE_MS = 60_000
PHONE: "ViewportSize" = {"width": 390, "height": 844}


@dataclass(frozen=True)
class Pages:
    """Served pages, and the ids of two runs by name."""

    address: str
    experiment: str
    runs: dict[str, str]

    def of_run(self, name: str, part: str) -> str:
        return f"{self.address}/#/experiments/{self.experiment}/runs/{self.runs[name]}/{part}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Two trainings with different learning rates; the second one exports and registers its model."""
    folder = tmp_path_factory.mktemp("tracked")
    for split, first, count in (("train", 0, 32), ("val", 100, 16)):
        (folder / split).mkdir()
        write_root(folder / split / "a.root", make_events(count, first_event=first))
    (folder / "regressor.yaml").write_text(yaml.safe_dump(CONFIG))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name, rate in RATES.items():
            changes = {"mlflow.run_name": name, "training.lr": rate, "export.onnx": str(name == "fast").lower()}
            words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
            assert run_command(main, ["--config", "regressor.yaml", *words]) == EXIT_DONE
        client = MlflowStore("sqlite:///mlruns.db", "xec").client
        experiment = client.get_experiment_by_name("xec").experiment_id
        runs = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment])}
        with mlflow_ui(folder) as address:
            yield Pages(address, experiment, runs)


def test_the_table_of_runs_is_searched_by_a_setting_and_a_tag(page: "Page", pages: Pages) -> None:
    page.goto(f"{pages.address}/#/experiments/{pages.experiment}/runs")
    for name in RATES:
        page.get_by_role("link", name=name).wait_for(timeout=PATIENCE_MS)
    search = page.get_by_placeholder("metrics.rmse")
    search.fill("params.`training.lr` = '0.002' and tags.sweep = 'night' and tags.kind = 'regressor'")
    search.press("Enter")
    page.get_by_text("1 matching run").wait_for(timeout=PATIENCE_MS)
    assert page.get_by_role("link", name="fast").is_visible()
    assert not page.get_by_role("link", name="slow").is_visible()


def test_a_run_says_what_it_was_made_of(page: "Page", pages: Pages) -> None:
    page.goto(pages.of_run("fast", ""))
    page.get_by_text("training.lr", exact=True).first.wait_for(timeout=PATIENCE_MS)
    shown = page.inner_text("body")
    for expected in ("config_sha256", "training_data", "platform", "lib.train_regressor", "sweep"):
        assert expected in shown, expected


def test_the_chart_of_the_largest_gradient_norm_has_a_curve(page: "Page", pages: Pages) -> None:
    page.goto(pages.of_run("fast", "model-metrics"))
    page.get_by_placeholder("Search metric charts").fill("grad_norm_max")
    page.get_by_text("fast (grad_norm_max)").wait_for(timeout=PATIENCE_MS)
    curve = page.locator(".js-plotly-plot .scatterlayer path.js-line")
    curve.first.wait_for(state="attached", timeout=PATIENCE_MS)
    # Three epochs make a line of three points.
    assert curve.first.get_attribute("d").count("L") >= 2  # type: ignore[union-attr]


def test_system_metrics_have_a_page_of_their_own(page: "Page", pages: Pages) -> None:
    page.goto(pages.of_run("fast", "system-metrics"))
    page.get_by_text("host_memory_gib").first.wait_for(timeout=PATIENCE_MS)


def test_the_report_opens_as_a_page(page: "Page", pages: Pages) -> None:
    page.goto(pages.of_run("fast", "artifacts/report.html"))
    report = page.frame_locator("iframe").first
    report.get_by_role("heading", name="fast: regressor run").wait_for(timeout=PATIENCE_MS)
    assert report.locator("figure.chart").count() > 3


def test_on_a_phone_runs_and_curves_fit_once_the_panels_are_folded(page: "Page", pages: Pages) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{pages.address}/#/experiments/{pages.experiment}/runs")
    page.get_by_label("Toggle sidebar").click(timeout=PATIENCE_MS)
    page.get_by_label("Close", exact=True).click(timeout=PATIENCE_MS)
    name = page.get_by_role("link", name="fast")
    name.wait_for(timeout=PATIENCE_MS)
    assert_within_width(name)
    page.goto(pages.of_run("fast", "model-metrics"))
    page.get_by_placeholder("Search metric charts").fill("grad_norm_max")
    page.get_by_text("fast (grad_norm_max)").wait_for(timeout=PATIENCE_MS)
    assert_within_width(page.locator(".js-plotly-plot"))


def assert_within_width(shown: "Locator") -> None:
    box = shown.bounding_box()
    assert box
    assert 0 <= box["x"] <= box["x"] + box["width"] <= PHONE["width"]


def test_the_registered_model_shows_inputs_and_outputs(page: "Page", pages: Pages) -> None:
    page.goto(f"{pages.address}/#/models/xec_regressor/versions/1")
    page.get_by_text("Inputs (2)").wait_for(timeout=PATIENCE_MS)
    page.get_by_text("Inputs (2)").click()
    shown = page.inner_text("body")
    assert "npho" in shown
    assert "[-1, 4760]" in shown.replace("[-1,4760]", "[-1, 4760]")
    assert "Outputs (2)" in shown
    assert page.get_by_role("link", name="fast").is_visible()
