"""What the branches of any ROOT file hold: types, shapes, ranges, shares of sentinels, and a histogram each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import uproot
from numpy.typing import NDArray

from lib.data.branches import INVALID_ABOVE
from lib.data.files.location import InputPath
from lib.data.trees.tree_reading import open_file, read_branch, read_errors
from lib.errors import DataError, NoTreeError, nearest

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_SHOWN_SHARE: Final = 0.99


@dataclass(frozen=True, eq=False)
class BranchDescription:
    """One branch.

    Attributes:
        name: Its name.
        type_name: Type as the file says.
        shape: Of one entry, empty for a plain number; None where entries differ in length or hold no numbers.
        num_values: Values that were looked at, the invalid ones included.
        no_value: Share of them beyond 9e9, the sentinels of sensors without a value.
        not_finite: Share that is NaN or infinite.
        zero: Share that is exactly zero.
        low: Smallest of the others, zeros included; NaN without any.
        high: Largest of them.
        counts: Valid values per bin of the histogram, shape (bins,).
        edges: Edges of the bins over the middle 99 %, shape (bins + 1,).
    """

    name: str
    type_name: str
    shape: tuple[int, ...] | None
    num_values: int = 0
    no_value: float = 0.0
    not_finite: float = 0.0
    zero: float = 0.0
    low: float = float("nan")
    high: float = float("nan")
    counts: NDArray[np.int64] | None = None
    edges: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class TreeDescription:
    """One tree: its name, how many entries it has, how many were looked at, and its branches."""

    name: str
    num_entries: int
    num_read: int
    branches: Sequence[BranchDescription]


def describe_file(path: InputPath, *, tree_name: str | None, entries: int, bins: int) -> Iterator[TreeDescription]:
    """Yield what each tree of a file holds.

    Args:
        path: File or URL.
        tree_name: Only this tree; all by default.
        entries: First entries that are looked at.
        bins: Bins of each histogram.

    Raises:
        DataError: If the file cannot be read or has no such tree.
    """
    with read_errors(path):
        directory = open_file(path)
        trees = sorted({name.partition(";")[0] for name in directory.keys(filter_classname="TTree")})
    if not trees:
        raise NoTreeError(f"{path}: holds no tree.")
    if tree_name is not None and tree_name not in trees:
        raise NoTreeError(f"{path}: no tree {tree_name!r}; nearest: {nearest(tree_name, trees)}. Name one by --tree.")
    for name in trees if tree_name is None else [tree_name]:
        with read_errors(path, f"tree {name!r}"):
            tree = directory[name]
            read, names = min(entries, tree.num_entries), tree.keys()
        yield TreeDescription(name, tree.num_entries, read, [_describe(tree, path, one, read, bins) for one in names])


def _describe(tree: uproot.TTree, path: InputPath, name: str, entries: int, bins: int) -> BranchDescription:
    type_name = str(tree[name].typename)
    if not entries:
        return BranchDescription(name, type_name, None)
    try:
        values = read_branch(tree, path, name, 0, entries)
    except DataError:
        # Entries of different lengths are no fault of a file that is only looked at.
        return BranchDescription(name, type_name, None)
    if values.dtype.kind not in "biuf":
        return BranchDescription(name, type_name, None)
    return describe_values(name, type_name, values, bins=bins)


def describe_values(name: str, type_name: str, values: NDArray[np.generic], *, bins: int) -> BranchDescription:
    """Return the description of values of shape (entries, ...)."""
    flat = values.reshape(-1).astype(np.float64)
    finite = np.isfinite(flat)
    # Event numbers may be larger than any sentinel.
    beyond = finite & (np.abs(flat) > INVALID_ABOVE) & (values.dtype.kind == "f")
    valid = flat[finite & ~beyond]
    tail = 0.5 * (1.0 - _SHOWN_SHARE)
    low, high = np.quantile(valid, [tail, 1.0 - tail]) if len(valid) else (0.0, 1.0)
    counts, edges = np.histogram(valid, bins, (low, high) if high > low else (low - 0.5, low + 0.5))
    return BranchDescription(
        name,
        type_name,
        values.shape[1:],
        num_values=len(flat),
        no_value=float(beyond.mean()),
        not_finite=float((~finite).mean()),
        zero=float((flat == 0).mean()),
        low=float(valid.min()) if len(valid) else float("nan"),
        high=float(valid.max()) if len(valid) else float("nan"),
        counts=counts,
        edges=edges,
    )


def bars(counts: NDArray[np.int64]) -> str:
    """Return a histogram as one line of blocks; a bin with anything in it shows at least the lowest."""
    top = max(int(counts.max(initial=0)), 1)
    steps = np.ceil(counts * (len(_BLOCKS) - 1) / top).astype(int)
    return "".join(_BLOCKS[step] for step in steps)
