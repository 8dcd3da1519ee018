"""The bar that long commands show on a terminal."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


def on_terminal() -> bool:
    """Return whether somebody sees what is written to standard error.

    Rich is not asked: FORCE_COLOR, which notebooks and build servers set, is a yes to it, and a log gets each state of
    a bar.
    """
    return sys.stderr.isatty()


def progress_bar(*further: ProgressColumn, wanted: bool = True) -> Progress:
    """Return a bar with description, count and remaining time, which goes when it is done; invisible in logs.

    Args:
        further: Columns behind these.
        wanted: False hides it on terminals too.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), *further)
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not (wanted and on_terminal()))
