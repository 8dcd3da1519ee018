"""The page about a run must work in a real browser: its script, in every scheme, on a phone."""

from typing import TYPE_CHECKING

import pytest

from lib.report.page import comparison_page, run_page
from lib.report.run_folder import read_run
from tests.browser.accessibility import SCHEMES, WIDTHS, assert_accessible, open_page
from tests.report.made_run import (
    add_conventional,
    add_face_weights,
    add_ledger,
    add_predictions,
    add_skip,
    add_worst,
    make_run,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of the page of a run with everything in it, and of a comparison."""
    folder = tmp_path_factory.mktemp("pages")
    run = make_run(folder / "run", metrics={"system/cpu_cores": 1.5})
    add_predictions(run, "run", sigma=1e-3)
    add_conventional(run, "run")
    add_face_weights(run, "run")
    add_worst(run, "run")
    add_skip(run)
    add_ledger(run, "a/very/long/path/without/any/blank" * 6)
    read = read_run(run)
    texts = {"run": run_page(read, {}), "comparison": comparison_page([read, read])}
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in texts}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["run", "comparison"])
def test_nothing_is_cut_and_everybody_can_read_it(
    browser: "Browser", pages: dict[str, str], name: str, scheme: str, width: int
) -> None:
    page = open_page(browser, pages[name], scheme, width)
    assert_accessible(page)
    page.context.close()


def test_keys_step_over_sensors_and_the_pointer_tells_of_them(page: "Page", pages: dict[str, str]) -> None:
    page.goto(pages["run"])
    told = page.locator("#sensor-text")
    page.locator("#event-drawing").focus()
    first = told.inner_text()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert told.inner_text() != first
    assert "face inner" in told.inner_text()
    page.locator("#event-choice").select_option("1")
    page.locator("#quantity-choice").select_option("1")
    assert page.locator("#sensors .dead").count() == 2
    assert page.locator("#sensors .empty").count() == 99
    page.locator("#sensors > *").nth(4700).hover()
    assert told.inner_text() == "Sensor 4700, face bottom: dead"


def test_true_and_predicted_points_follow_the_choice_of_the_event(page: "Page", pages: dict[str, str]) -> None:
    page.goto(pages["run"])
    marks = page.locator("#truth > *"), page.locator("#predicted > *")
    assert [one.count() for one in marks] == [2, 2]
    page.locator("#event-choice").select_option("1")
    assert [one.count() for one in marks] == [0, 0]
    page.locator("#event-choice").select_option("0")
    assert [one.count() for one in marks] == [2, 2]


def test_the_page_asks_for_nothing(page: "Page", pages: dict[str, str]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages["run"])
    assert asked == [pages["run"]]
