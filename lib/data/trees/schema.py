"""Whether files can serve, found out before anything else is started."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.data.branches import DEAD, NPHO_EXPECTED, TRUTH_WIDTHS
from lib.data.config import DataConfig
from lib.data.files.location import InputPath
from lib.data.trees.layout import BranchLayout, IndexArray, TreeLayout
from lib.data.trees.layout_index import find_layouts
from lib.errors import DataError, NoTreeError, nearest
from lib.geometry.sensors import NUM_SENSORS

logger = logging.getLogger(__name__)

# Whatever can be asked for beside the sensors' readings.
BRANCH_WIDTHS = {**TRUTH_WIDTHS, NPHO_EXPECTED: NUM_SENSORS, DEAD: NUM_SENSORS}


@dataclass(frozen=True)
class BranchAdvice:
    """What a user can do about a name that is not in a file; empty where it cannot be chosen.

    Attributes:
        tree: About the tree.
        npho: About the photon counts.
        time: About the times.
        truth: About truth.
        renamed: About branches whose names in the file were given.
    """

    tree: str = "Set data.tree_name"
    npho: str = "Set data.npho_branch"
    time: str = "Set data.time_branch"
    truth: str = "This training needs it as truth"
    renamed: str = "Correct data.branches"


@dataclass(frozen=True)
class BranchPlan:
    """Which branches are read from which tree.

    Attributes:
        tree_name: Tree that holds the events.
        npho_branch: Photon counts, 4760 wide.
        time_branch: Sensor times, 4760 wide.
        truth_branches: Further branches that must be there (names of ``BRANCH_WIDTHS``), read as float32.
        cut_branches: Branches of numbers that the selection looks at, with the highest component that it uses; None
            where a plain number is expected.
        advice: For the messages about what is missing.
        renamed: Pairs of the name that is used here and the name in the files, for branches where they differ.

    Raises:
        DataError: If the width of a truth branch is not known.
    """

    tree_name: str
    npho_branch: str
    time_branch: str
    truth_branches: tuple[str, ...] = ()
    cut_branches: tuple[tuple[str, int | None], ...] = ()
    advice: BranchAdvice = BranchAdvice()
    renamed: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in self.truth_branches:
            if name not in BRANCH_WIDTHS:
                raise DataError(f"{name!r} is no truth branch; nearest: {nearest(name, BRANCH_WIDTHS)}.")

    @classmethod
    def from_config(cls, config: DataConfig, truth_branches: Sequence[str]) -> "BranchPlan":
        """Return the plan of a configuration, with the truth that a task needs."""
        renamed = tuple(sorted(config.branches.items()))
        return cls(config.tree_name, config.npho_branch, config.time_branch, tuple(truth_branches), renamed=renamed)


@dataclass(frozen=True, eq=False)
class FileSchema:
    """What a usable file holds.

    Attributes:
        path: The file.
        layout: Its tree; every planned branch is in it with the right width.
        npho_branch: Branch of photon counts, whose baskets decide where the file is cut.
    """

    path: InputPath
    layout: TreeLayout
    npho_branch: str

    @property
    def num_entries(self) -> int:
        """Events in the tree."""
        return self.layout.num_entries

    @property
    def basket_edges(self) -> IndexArray:
        """First entry of each compressed basket of the photon branch, and the number of entries, ascending."""
        return self.layout.branches[self.npho_branch].edges

    def name_in_file(self, name: str) -> str:
        """Return what a branch is called in the file (``data.branches``)."""
        return self.layout.branches[name].name_in_file or name

    def has_number(self, name: str) -> bool:
        """Return whether the tree has a plain number per event under this name."""
        branch = self.layout.branches.get(name)
        return branch is not None and branch.shape == ()


@dataclass(frozen=True, eq=False)
class FileReport:
    """What looking at one file gave.

    Attributes:
        path: The file.
        schema: None when there are problems.
        problems: One message each, naming the file.
        conversions: Sensor branches that are stored as another number type and are converted, one message each.
        num_entries: Events in the tree; 0 where that cannot be found out, or with a schema.
    """

    path: InputPath
    schema: FileSchema | None
    problems: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()
    num_entries: int = 0


def check_files(paths: Sequence[InputPath], plan: BranchPlan) -> list[FileSchema]:
    """Return the schema of each file.

    Args:
        paths: The files; those that are not yet known, or changed, are opened, none is read beyond its directory.
        plan: What they must hold.

    Raises:
        DataError: Listing every problem of every file.
    """
    reports = examine_files(paths, plan)
    problems = [problem for report in reports for problem in report.problems]
    if problems:
        heading = f"{len(problems)} problems in {sum(bool(report.problems) for report in reports)} input files:"
        raise DataError("\n  ".join([heading, *problems]) if len(problems) > 1 else problems[0])
    for conversion in dict.fromkeys(text for report in reports for text in report.conversions):
        logger.info("%s", conversion)
    return [report.schema for report in reports if report.schema]


def examine_files(paths: Sequence[InputPath], plan: BranchPlan) -> list[FileReport]:
    """Return for each file what is wrong with it, or its schema."""
    reports = []
    for path, layout in zip(paths, find_layouts(paths, plan.tree_name), strict=True):
        if isinstance(layout, DataError):
            advice = plan.advice.tree if isinstance(layout, NoTreeError) else ""
            reports.append(FileReport(path, None, (_advised(str(layout), advice),)))
        else:
            reports.append(_examine_tree(path, layout, plan))
    return reports


def _examine_tree(path: InputPath, stored: TreeLayout, plan: BranchPlan) -> FileReport:
    layout = stored.renamed(dict(plan.renamed))
    missing_names = {name: it for name, it in plan.renamed if it not in stored.branches}
    problems = [_missing_in_file(path, name, it, stored, plan) for name, it in missing_names.items()]
    conversions: list[str] = []
    if layout.num_entries == 0:
        problems.append(f"{path}: tree {plan.tree_name!r} has no entries. Remove the file from the list.")
    wanted = [
        (plan.npho_branch, NUM_SENSORS, plan.advice.npho),
        (plan.time_branch, NUM_SENSORS, plan.advice.time),
        *((name, BRANCH_WIDTHS[name], plan.advice.truth) for name in plan.truth_branches),
    ]
    place = f"{path}: tree {plan.tree_name!r}"
    for name, width, advice in wanted:
        branch = layout.branches.get(name)
        if name in missing_names:
            continue
        if branch is None:
            missing = f"{place} has no branch {name!r}; nearest: {nearest(name, layout.branches)}."
            problems.append(_advised(missing, advice))
            continue
        problem = _examine_branch(branch, width)
        if problem:
            mend = f"{advice}, or write the file anew" if advice else "Write the file anew"
            problems.append(_advised(f"{place}, branch {name!r}: {problem}", mend))
        elif width == NUM_SENSORS and np.dtype(branch.dtype).name != "float32":
            # Truth in double precision is usual; for sensors it doubles the reading.
            number = np.dtype(branch.dtype).name
            conversions.append(f"branch {name!r} is stored as {number} and is converted to float32.")
    for name, component in plan.cut_branches:
        if name in missing_names:
            continue
        problem = _examine_cut(layout, name, component)
        if problem:
            problems.append(f"{place}: {problem} The selection of events looks at it.")
    if problems:
        return FileReport(path, None, tuple(problems), num_entries=layout.num_entries)
    return FileReport(path, FileSchema(path, layout, plan.npho_branch), (), tuple(conversions))


def _missing_in_file(path: InputPath, name: str, name_in_file: str, stored: TreeLayout, plan: BranchPlan) -> str:
    return _advised(
        f"{path}: tree {plan.tree_name!r} has no branch {name_in_file!r}, which is to serve as {name!r}; nearest: "
        f"{nearest(name_in_file, stored.branches)}.",
        plan.advice.renamed,
    )


def _advised(problem: str, advice: str) -> str:
    return f"{problem} {advice}." if advice else problem


def _examine_cut(layout: TreeLayout, name: str, component: int | None) -> str | None:
    branch = layout.branches.get(name)
    if branch is None:
        return f"no branch {name!r}; nearest: {nearest(name, layout.branches)}."
    if branch.width is None or (component is None) != (branch.shape == ()):
        expected = "a plain number" if component is None else "an array of fixed length"
        return f"branch {name!r} is a {branch.type_name}, expected {expected}."
    if component is not None and component >= branch.width:
        return f"branch {name!r} has the components 0 to {branch.width - 1}, not {component}."
    return None


def _examine_branch(branch: BranchLayout, width: int) -> str | None:
    if branch.shape is None:
        return f"expected numbers of a fixed length of {width}, got {branch.type_name}."
    if branch.width != width:
        return f"expected {width} values per event, got {branch.width}."
    return None
