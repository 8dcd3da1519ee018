"""Figures as files: whole or not at all, with fonts that stay text."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from lib.atomic import atomic_path
from lib.errors import UserError

SUFFIXES: Final = (".png", ".pdf", ".svg")
_UNDATED: Final = {"CreationDate": None}


def check_figure_suffix(path: Path) -> None:
    """Raise ``UserError`` unless a figure can be written in the format that the suffix names."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: cannot write a figure as {path.suffix!r}; expected one of {', '.join(SUFFIXES)}.")


def save_figure(figure: Figure, path: Path, dots_per_inch: float = 100) -> None:
    """Write a figure; an older file of that name is replaced only by a whole one.

    Args:
        figure: What to write.
        path: Where to; the suffix chooses the format, the folder is created.
        dots_per_inch: Resolution of a PNG, and of what a PDF holds as an image.

    Raises:
        UserError: If the suffix names no known format.
    """
    check_figure_suffix(path)
    # Without a date the same figure is the same file.
    metadata = {".pdf": _UNDATED, ".svg": {"Date": None}}.get(path.suffix.lower(), {})
    with _text_stays_text(), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dots_per_inch, metadata=metadata)


def save_figures(figures: Sequence[Figure], path: Path, dots_per_inch: float = 100) -> None:
    """Write figures as the pages of one PDF; otherwise like ``save_figure``.

    Raises:
        UserError: If the suffix is not that of a PDF.
    """
    if path.suffix.lower() != ".pdf":
        raise UserError(f"{path}: several figures are the pages of a PDF; got the suffix {path.suffix!r}.")
    with _text_stays_text(), atomic_path(path) as temporary, PdfPages(temporary, metadata=_UNDATED) as pages:
        for figure in figures:
            pages.savefig(figure, dpi=dots_per_inch)


def _text_stays_text() -> AbstractContextManager[None]:
    """Return a context in which fonts are embedded in forms that editors of figures can still change."""
    return mpl.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "xec"})
