"""What must hold of a page in every scheme and width: axe finds nothing serious, and nothing is cut."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCHEMES = ("light", "dark")
WIDTHS = (1280, 390)


def open_page(browser: "Browser", url: str, scheme: str, width: int) -> "Page":
    """Return a page as a reader with a scheme and a width of the window sees it."""
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}).new_page()  # type: ignore[arg-type]
    page.goto(url)
    page.wait_for_load_state("networkidle")
    return page


def assert_accessible(page: "Page") -> None:
    """Fail with what axe finds serious or critical, or if the page is wider than its window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = [
        f"{one['id']}: {node['html']}"
        for one in axe.run(page).response["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
