"""The site must have a place for every page, and build from what is on disk alone."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
_FETCHED = re.compile(r"""src="(?:https?:)?//|<link[^>]+stylesheet[^>]+href="(?:https?:)?//|url\((?:https?:)?//""")


def pages(entry: Any) -> list[str]:
    """Pages of a part of the navigation."""
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in pages(part)]


def test_the_navigation_names_every_page_once() -> None:
    assert sorted(pages(CONFIG["nav"])) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="no mkdocs-material; make docs installs it")
def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True,
    )  # fmt: skip
    built = list(tmp_path.glob("*.html"))
    assert {page.with_suffix(".html").name for page in (ROOT / "docs").glob("*.md")} <= {page.name for page in built}
    fetched = [page.name for page in built if _FETCHED.search(page.read_text(encoding="utf-8"))]
    assert fetched == []
