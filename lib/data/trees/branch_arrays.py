"""Branches of small files, whole."""

from typing import Any

import uproot
from numpy.typing import NDArray

from lib.data.files.location import InputPath
from lib.data.trees.tree_reading import open_file
from lib.errors import DataError


def read_branches(path: InputPath, names: list[str], tree: str) -> dict[str, NDArray[Any]]:
    """Return branches of a file; raises ``DataError`` if it has them not."""
    try:
        with open_file(path) as file:
            return {name: file[tree][name].array(library="np") for name in names}
    except (OSError, uproot.KeyInFileError) as error:
        raise DataError(f"{path}: cannot be read as a tree {tree!r} with {', '.join(names)} ({error}).") from error
