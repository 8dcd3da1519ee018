"""Errors that are the user's to mend: one clear message, exit code 2, no traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something outside the code is wrong; the message says what, where and what to do."""


class GeometryError(UserError):
    """A sensor table does not describe the detector."""


class ConfigError(UserError):
    """A configuration is refused; the message lists every fault with its place."""


class DataError(UserError):
    """An input file cannot serve; the message names file, tree and branch."""


class NoTreeError(DataError):
    """A file has no tree of the name that was asked for; who asked knows how the name is set."""


class CheckpointError(UserError):
    """A checkpoint is damaged, or belongs to another architecture or normalization."""


class ExportError(UserError):
    """A model cannot be exported, or an exported file cannot be used."""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return the candidates closest to a misspelt name, as text for a message.

    Args:
        name: What the user wrote.
        candidates: What could have been meant.

    Returns:
        Up to three close matches, or all candidates when none is close, comma separated.
    """
    known = [str(candidate) for candidate in candidates]
    # A user often writes the right word in the wrong case.
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    shown = close or sorted(known)
    text = ", ".join(shown[:12])
    return text + ", ..." if len(shown) > 12 else text or "none"
