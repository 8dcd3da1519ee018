"""Finding out, with the ROOT library, where the values of a tree lie."""

from pathlib import Path

import numpy as np
import uproot
from uproot.interpretation.numerical import AsDtype

from lib.data.layout import BranchLayout, TreeLayout
from lib.data.tree_reading import open_file, read_errors
from lib.errors import DataError, nearest


def read_layout(path: Path, tree_name: str) -> TreeLayout:
    """Return the layout of a tree.

    Args:
        path: The file; only its directory and the description of the tree are read.
        tree_name: The tree.

    Raises:
        DataError: If the file cannot be read or has no such tree.
    """
    with read_errors(path), open_file(path) as file:
        status = path.stat()
        tree = _find_tree(path, file, tree_name)
        branches = {name: _branch_layout(tree[name]) for name in tree.keys(recursive=False)}
        return TreeLayout(status.st_size, status.st_mtime_ns, tree.num_entries, branches)


def _find_tree(path: Path, file: uproot.ReadOnlyDirectory, name: str) -> uproot.TTree:
    classes = file.classnames(cycle=False)
    if name not in classes:
        close = nearest(name, classes)
        raise DataError(f"{path}: no tree {name!r}; nearest: {close}. Set data.tree_name.")
    if classes[name] != "TTree":
        raise DataError(f"{path}: {name!r} is a {classes[name]}, expected a TTree. Set data.tree_name.")
    return file[name]


def _branch_layout(branch: uproot.TBranch) -> BranchLayout:
    edges = np.asarray(branch.entry_offsets, dtype=np.int64)
    interpretation = branch.interpretation
    if not isinstance(interpretation, AsDtype) or interpretation.from_dtype.base.kind not in "fiub":
        return BranchLayout(branch.typename, "", None, edges)
    stored = interpretation.from_dtype.base.str
    shape = tuple(interpretation.inner_shape)
    count = len(edges) - 1
    # Small trees may keep their last basket inside the description of the tree instead of at a place of its own.
    if branch.embedded_baskets or branch.num_baskets != count or branch.file.file_path != branch.tree.file.file_path:
        return BranchLayout(branch.typename, stored, shape, edges)
    seeks, num_bytes = (
        np.array(branch.member(name)[:count], dtype=np.int64) for name in ("fBasketSeek", "fBasketBytes")
    )
    return BranchLayout(branch.typename, stored, shape, edges, seeks, num_bytes)
