"""Figures as files: whole or not at all, with fonts that stay text."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from lib.atomic import atomic_path
from lib.errors import UserError

SUFFIXES: Final = (".png", ".pdf", ".svg")


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
    metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix.lower(), {})
    # Type 42 and "none" keep text as text, which editors of figures can still change.
    style = mpl.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "xec"})
    with style, atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dots_per_inch, metadata=metadata)
