"""The documentation must be readable as a site: by everybody, on a phone, without network."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.accessibility import SCHEMES, WIDTHS, assert_accessible, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("material", reason="no mkdocs-material; make docs installs it")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True,
    )  # fmt: skip
    yield folder


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["index", "getting-started", "architecture"])
def test_nothing_is_cut_and_everybody_can_read_it(
    browser: "Browser", site: Path, name: str, scheme: str, width: int
) -> None:
    page = open_page(browser, (site / f"{name}.html").as_uri(), scheme, width)
    assert_accessible(page)
    page.context.close()


def test_the_index_asks_for_nothing_from_outside(browser: "Browser", site: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert asked
    assert all(url.startswith(("file:", "blob:", "data:")) for url in asked)
    page.close()
