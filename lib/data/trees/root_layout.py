"""Finding out, with the ROOT library, where the values of a tree lie."""

import numpy as np
import uproot
from uproot.interpretation.numerical import AsDtype

from lib.data.files.location import InputPath
from lib.data.trees.layout import BranchLayout, IndexArray, TreeLayout
from lib.data.trees.tree_reading import as_root_file, open_source, read_branch, read_errors
from lib.errors import DataError, NoTreeError, nearest

_TREE_CLASSES = ("TTree", "ROOT::RNTuple")


def read_layout(path: InputPath, tree_name: str) -> TreeLayout:
    """Return the layout of a tree.

    Args:
        path: The file; only its directory and the description of the tree are read.
        tree_name: The tree.

    Raises:
        DataError: If the file cannot be read or has no such tree.
    """
    with read_errors(path):
        source = open_source(path)
        file = as_root_file(path, source)
    with read_errors(path), file:
        tree = _find_tree(path, file, tree_name)
        names = tree.keys(recursive=False)
        if isinstance(tree, uproot.TTree):
            branches = {name: _branch_layout(path, tree, name) for name in names}
        else:
            edges = np.array(
                [0, *(cluster.num_first_entry + cluster.num_entries for cluster in tree.cluster_summaries)]
            )
            branches = {name: _probed_layout(path, tree, name, edges) for name in names}
        return TreeLayout(source.state.size, source.state.mtime_ns, tree.num_entries, branches)


def _find_tree(path: InputPath, file: uproot.ReadOnlyDirectory, name: str) -> uproot.TTree:
    classes = file.classnames(cycle=False)
    if name not in classes:
        raise NoTreeError(f"{path}: no tree {name!r}; nearest: {nearest(name, classes)}.")
    if classes[name] not in _TREE_CLASSES:
        raise NoTreeError(f"{path}: {name!r} is a {classes[name]}, expected a TTree or RNTuple.")
    return file[name]


def _branch_layout(path: InputPath, tree: uproot.TTree, name: str) -> BranchLayout:
    branch = tree[name]
    edges = np.asarray(branch.entry_offsets, dtype=np.int64)
    interpretation = branch.interpretation
    if not isinstance(interpretation, AsDtype) or interpretation.from_dtype.base.kind not in "fiub":
        return _probed_layout(path, tree, name, edges)
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


def _probed_layout(path: InputPath, tree: uproot.TTree, name: str, edges: IndexArray) -> BranchLayout:
    """Return the layout of a branch that only the ROOT library can read, judged by its first entry."""
    type_name = tree[name].typename
    try:
        first = read_branch(tree, path, name, 0, min(1, tree.num_entries))
    except DataError:
        return BranchLayout(type_name, "", None, edges)
    if not len(first) or first.dtype.kind not in "fiub":
        return BranchLayout(type_name, "", None, edges)
    return BranchLayout(type_name, first.dtype.str, first.shape[1:], edges)
