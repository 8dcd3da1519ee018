"""Layouts of input files kept from one start to the next.

Asking the ROOT library costs some milliseconds a file, which a thousand files turn into many seconds before every
training. What it said is kept in the user's cache folder, one file per folder of data, and trusted for as long as
size and time of change of the data file stay the same.
"""

import hashlib
import json
import logging
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from lib.atomic import atomic_path
from lib.data.files.file_bytes import FileBytes, FileState, basket_hash, open_bytes, open_unchanged
from lib.data.files.location import InputPath, RemotePath
from lib.data.files.persistence import UnreachableError
from lib.data.trees.layout import BranchLayout, IndexArray, TreeLayout
from lib.data.trees.root_layout import read_layout
from lib.data.trees.tree_reading import read_errors
from lib.errors import DataError
from lib.user_cache import user_cache_folder

logger = logging.getLogger(__name__)

# A change of what is written makes older indices unreadable, and so rebuilt.
_VERSION = 2

# Files on servers that are asked for at once; a journey there and back takes longer than the answer.
_REQUESTS = 16


def find_layouts(paths: Sequence[InputPath], tree_name: str) -> list[TreeLayout | DataError]:
    """Return the layout of a tree in each file, or why it cannot be read.

    Args:
        paths: The files; those that changed since the last time, or are new, are opened.
        tree_name: The tree.
    """
    found: dict[InputPath, TreeLayout | DataError] = {}
    for folder, files in groupby(sorted(set(paths)), key=lambda path: path.parent):
        found |= _layouts_in(folder, list(files), tree_name)
    return [found[path] for path in paths]


def record_hashes(path: InputPath, tree_name: str) -> int:
    """Hash every basket of a file and keep the hashes, so that readers notice when its content changes.

    Args:
        path: A file that is known to be good.
        tree_name: The tree.

    Returns:
        How many baskets were hashed.

    Raises:
        DataError: If the file cannot be read, or differs from hashes that were recorded before.
    """
    layout = find_layouts([path], tree_name)[0]
    if isinstance(layout, DataError):
        raise layout
    with read_errors(path):
        content = open_unchanged(path, layout)
    branches = {}
    for name, branch in layout.branches.items():
        places = zip(branch.seeks.tolist(), branch.num_bytes.tolist(), strict=True)
        with read_errors(path, f"tree {tree_name!r}, branch {name!r}"):
            hashes = np.array([_hash_at(content, seek, size) for seek, size in places], np.uint64)
        if len(branch.hashes) and not np.array_equal(hashes, branch.hashes):
            number = int(np.argmax(hashes != branch.hashes))
            raise DataError(
                f"{path}: branch {name!r}, entries {branch.edges[number]} to {branch.edges[number + 1] - 1} have other "
                "content than when their hashes were recorded, though size and time of the file are the same. Suspect "
                "the disk, and copy the file again."
            )
        branches[name] = replace(branch, hashes=hashes)
    place = _place(path.parent, tree_name)
    _save(place, _load(place) | {path.name: replace(layout, branches=branches)})
    return sum(len(branch.hashes) for branch in branches.values())


def _hash_at(source: FileBytes, seek: int, size: int) -> int:
    basket = np.empty(size, np.uint8)
    source.read(seek, basket)
    return basket_hash(basket)


def _layouts_in(folder: InputPath, files: list[InputPath], tree_name: str) -> dict[InputPath, TreeLayout | DataError]:
    place = _place(folder, tree_name)
    known = _load(place)
    find = partial(_find_layout, known=known, tree_name=tree_name)
    found = _ask_server(files, find) if isinstance(folder, RemotePath) else {path: find(path) for path in files}
    fresh = {path.name: layout for path, layout in found.items() if isinstance(layout, TreeLayout)}
    if any(known.get(name) is not layout for name, layout in fresh.items()):
        _save(place, known | fresh)
    return found


def _ask_server(
    files: list[InputPath], find: Callable[[InputPath], TreeLayout | DataError]
) -> dict[InputPath, TreeLayout | DataError]:
    """Return what is found for files on a server, many at once; one that does not answer is asked once only."""
    first = find(files[0])
    if isinstance(first, UnreachableError):
        skipped = {path: DataError(f"{path}: not asked for, since the server does not answer.") for path in files[1:]}
        return {files[0]: first, **skipped}
    with ThreadPoolExecutor(_REQUESTS) as executor:
        return {files[0]: first, **dict(zip(files[1:], executor.map(find, files[1:]), strict=True))}


def _find_layout(path: InputPath, *, known: dict[str, TreeLayout], tree_name: str) -> TreeLayout | DataError:
    layout = known.get(path.name)
    try:
        return layout if layout is not None and _is_current(layout, path) else read_layout(path, tree_name)
    except DataError as error:
        return error


def _is_current(layout: TreeLayout, path: InputPath) -> bool:
    if isinstance(path, RemotePath):
        return open_bytes(path).state == FileState(layout.size, layout.mtime_ns)
    try:
        status = path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (layout.size, layout.mtime_ns)


def _place(folder: InputPath, tree_name: str) -> Path:
    key = hashlib.sha256(f"{folder.resolve()}\n{tree_name}".encode()).hexdigest()[:16]
    return user_cache_folder() / "layouts" / f"{key}.npz"


def _load(place: Path) -> dict[str, TreeLayout]:
    """Return the layouts by file name; none when there is no index or it is damaged."""
    try:
        with np.load(place) as stored:
            header, numbers = json.loads(stored["header"].tobytes()), stored["numbers"]
        return _decode(header, numbers) if header["version"] == _VERSION else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile, EOFError) as error:
        logger.info("the index of input files %s is made anew (%s)", place, error)
        return {}


def _save(place: Path, layouts: dict[str, TreeLayout]) -> None:
    header, numbers = _encode(layouts)
    try:
        with atomic_path(place) as temporary:
            np.savez(temporary, header=np.frombuffer(json.dumps(header).encode(), np.uint8), numbers=numbers)
    except OSError as error:
        logger.warning("the index of input files %s cannot be written (%s); starting takes longer", place, error)


def _encode(layouts: dict[str, TreeLayout]) -> tuple[dict[str, Any], IndexArray]:
    """Return the names and types, and all lists of numbers one after the other."""
    files: dict[str, Any] = {}
    lists: list[IndexArray] = []
    for name, layout in layouts.items():
        branches = {}
        for branch, it in layout.branches.items():
            branches[branch] = (it.type_name, it.dtype, it.shape, len(it.edges), len(it.seeks), len(it.hashes))
            lists += [it.edges, it.seeks, it.num_bytes, it.hashes.view(np.int64)]
        files[name] = (layout.size, layout.mtime_ns, layout.num_entries, branches)
    numbers = np.concatenate(lists) if lists else np.empty(0, np.int64)
    return {"version": _VERSION, "files": files}, numbers


def _decode(header: dict[str, Any], numbers: IndexArray) -> dict[str, TreeLayout]:
    place = 0

    def take(counts: Iterable[int]) -> list[IndexArray]:
        nonlocal place
        taken = []
        for count in counts:
            taken.append(numbers[place : place + count])
            place += count
        return taken

    layouts: dict[str, TreeLayout] = {}
    for name, (size, mtime_ns, num_entries, stored) in header["files"].items():
        branches = {}
        for branch, (type_name, dtype, lengths, num_edges, num_seeks, num_hashes) in stored.items():
            shape = None if lengths is None else tuple(lengths)
            edges, seeks, num_bytes, hashes = take((num_edges, num_seeks, num_seeks, num_hashes))
            branches[branch] = BranchLayout(type_name, dtype, shape, edges, seeks, num_bytes, hashes.view(np.uint64))
        layouts[name] = TreeLayout(size, mtime_ns, num_entries, branches)
    return layouts
