"""A real browser for tests of pages; what it showed when a test failed is kept in ``test_screenshots``."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
SCREENSHOTS = Path(__file__).parents[2] / "test_screenshots"
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment, misc]
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Chromium of this machine; playwright's own is not needed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright; make test-all installs it")
    if CHROMIUM is None:
        pytest.skip("no chromium here; make test-all installs it where apt-get exists")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield started
        started.close()


@pytest.fixture
def page(browser: "Browser", request: pytest.FixtureRequest) -> "Iterator[Page]":
    """An empty page; after a test that failed its picture is kept."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    yield opened
    if request.node.stash.get(FAILED, False):
        SCREENSHOTS.mkdir(exist_ok=True)
        opened.screenshot(path=SCREENSHOTS / f"{request.node.name.replace('/', '_')}.png", full_page=True)
    opened.close()
