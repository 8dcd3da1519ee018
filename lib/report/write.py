"""Pages as files: whole or not at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lib.atomic import atomic_path
from lib.report.page import comparison_page, run_page
from lib.report.run_folder import RunFolder

PAGE_NAME: Final = "report.html"


def write_page(run: RunFolder, defaults: Mapping[str, str], *, output: Path | None = None) -> Path:
    """Write the page of a run and return its path.

    Args:
        run: The run.
        defaults: Default of each setting, flat, as text.
        output: Where to; ``report.html`` in the folder by default.

    Raises:
        OSError: If the page cannot be written.
    """
    return _write(run_page(run, defaults), output or run.folder / PAGE_NAME)


def write_comparison(runs: Sequence[RunFolder], output: Path) -> Path:
    """Write the page that compares runs and return its path."""
    return _write(comparison_page(runs), output)


def _write(page: str, path: Path) -> Path:
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path
