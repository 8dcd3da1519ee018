"""What words on a command line mean, for several commands."""

import argparse


def renamed_branch(text: str) -> tuple[str, str]:
    """Return both names of ``NAME=NAME_IN_FILE``."""
    name, mark, name_in_file = text.partition("=")
    if not (name and mark and name_in_file):
        raise argparse.ArgumentTypeError(f"expected NAME=NAME_IN_FILE, got {text!r}")
    return name, name_in_file


def positive_number(text: str) -> int:
    """Return a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number
