"""Whether files can serve, found out before anything else is started."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uproot
from numpy.typing import NDArray
from uproot.interpretation.numerical import AsDtype

from lib.data.branches import DEAD, EVENT, NPHO_EXPECTED, RUN, TRUTH_WIDTHS
from lib.data.config import DataConfig
from lib.data.tree_reading import open_file, read_errors
from lib.errors import DataError, nearest
from lib.geometry.sensors import NUM_SENSORS

logger = logging.getLogger(__name__)

# Whatever can be asked for beside the sensors' readings.
BRANCH_WIDTHS = {**TRUTH_WIDTHS, NPHO_EXPECTED: NUM_SENSORS, DEAD: NUM_SENSORS}


@dataclass(frozen=True)
class BranchPlan:
    """Which branches are read from which tree.

    Attributes:
        tree_name: Tree that holds the events.
        npho_branch: Photon counts, 4760 wide.
        time_branch: Sensor times, 4760 wide.
        truth_branches: Further branches that must be there (names of ``BRANCH_WIDTHS``), read as float32.

    Raises:
        DataError: If the width of a truth branch is not known.
    """

    tree_name: str
    npho_branch: str
    time_branch: str
    truth_branches: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.truth_branches:
            if name not in BRANCH_WIDTHS:
                raise DataError(f"{name!r} is no truth branch; nearest: {nearest(name, BRANCH_WIDTHS)}.")

    @classmethod
    def from_config(cls, config: DataConfig, truth_branches: Sequence[str]) -> "BranchPlan":
        """Return the plan of a configuration, with the truth that a task needs."""
        return cls(config.tree_name, config.npho_branch, config.time_branch, tuple(truth_branches))


@dataclass(frozen=True, eq=False)
class FileSchema:
    """What a usable file holds.

    Attributes:
        path: The file.
        num_entries: Events in the tree.
        basket_edges: First entry of each compressed basket of the photon branch, and the number of entries, ascending.
        has_run: Whether the tree has a run number.
        has_event: Whether the tree has an event number.
    """

    path: Path
    num_entries: int
    basket_edges: NDArray[np.int64]
    has_run: bool
    has_event: bool


@dataclass(frozen=True, eq=False)
class FileReport:
    """What looking at one file gave.

    Attributes:
        path: The file.
        schema: None when there are problems.
        problems: One message each, naming the file.
        conversions: Sensor branches that are stored as another number type and are converted, one message each.
    """

    path: Path
    schema: FileSchema | None
    problems: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()


def check_files(paths: Sequence[Path], plan: BranchPlan) -> list[FileSchema]:
    """Return the schema of each file.

    Args:
        paths: The files; all are opened, none is read beyond its directory.
        plan: What they must hold.

    Raises:
        DataError: Listing every problem of every file.
    """
    reports = [examine_file(path, plan) for path in paths]
    problems = [problem for report in reports for problem in report.problems]
    if problems:
        heading = f"{len(problems)} problems in {sum(bool(report.problems) for report in reports)} input files:"
        raise DataError("\n  ".join([heading, *problems]) if len(problems) > 1 else problems[0])
    for conversion in dict.fromkeys(text for report in reports for text in report.conversions):
        logger.info("%s", conversion)
    return [report.schema for report in reports if report.schema]


def examine_file(path: Path, plan: BranchPlan) -> FileReport:
    """Return what is wrong with a file, or its schema."""
    try:
        with read_errors(path), open_file(path) as file:
            found = _find_tree(path, file, plan.tree_name)
            return _examine_tree(path, found, plan)
    except DataError as error:
        return FileReport(path, None, (str(error),))


def _find_tree(path: Path, file: uproot.ReadOnlyDirectory, name: str) -> uproot.TTree:
    classes = file.classnames(cycle=False)
    if name not in classes:
        close = nearest(name, classes)
        raise DataError(f"{path}: no tree {name!r}; nearest: {close}. Set data.tree_name.")
    if classes[name] != "TTree":
        raise DataError(f"{path}: {name!r} is a {classes[name]}, expected a TTree. Set data.tree_name.")
    return file[name]


def _examine_tree(path: Path, tree: uproot.TTree, plan: BranchPlan) -> FileReport:
    problems: list[str] = []
    conversions: list[str] = []
    if tree.num_entries == 0:
        problems.append(f"{path}: tree {plan.tree_name!r} has no entries. Remove the file from the list.")
    wanted = [
        (plan.npho_branch, NUM_SENSORS, "Set data.npho_branch"),
        (plan.time_branch, NUM_SENSORS, "Set data.time_branch"),
        *((name, BRANCH_WIDTHS[name], "This training needs it as truth") for name in plan.truth_branches),
    ]
    place = f"{path}: tree {plan.tree_name!r}"
    for name, width, advice in wanted:
        if name not in tree:
            close = nearest(name, tree.keys(recursive=False))
            problems.append(f"{place} has no branch {name!r}; nearest: {close}. {advice}.")
            continue
        problem = _examine_branch(tree[name], width)
        if problem:
            problems.append(f"{place}, branch {name!r}: {problem} {advice}, or write the file anew.")
        elif width == NUM_SENSORS and tree[name].interpretation.from_dtype.base != np.dtype(">f4"):
            # Truth in double precision is usual; for sensors it doubles the reading.
            stored = tree[name].interpretation.to_dtype.base.name
            conversions.append(f"branch {name!r} is stored as {stored} and is converted to float32.")
    if problems:
        return FileReport(path, None, tuple(problems))
    edges = np.asarray(tree[plan.npho_branch].entry_offsets, dtype=np.int64)
    schema = FileSchema(path, tree.num_entries, edges, _is_number(tree, RUN), _is_number(tree, EVENT))
    return FileReport(path, schema, (), tuple(conversions))


def _examine_branch(branch: uproot.TBranch, width: int) -> str | None:
    interpretation = branch.interpretation
    if not isinstance(interpretation, AsDtype):
        return f"expected a fixed length of {width}, got {branch.typename} ({interpretation})."
    got = math.prod(interpretation.inner_shape)
    if got != width:
        return f"expected {width} values per event, got {got}."
    if interpretation.to_dtype.base.kind not in "fiub":
        return f"expected numbers, got {branch.typename}."
    return None


def _is_number(tree: uproot.TTree, name: str) -> bool:
    return name in tree and isinstance(tree[name].interpretation, AsDtype) and not tree[name].interpretation.inner_shape
