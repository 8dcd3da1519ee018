"""The files and branches that an exported model reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.data.branches import EVENT, RUN
from lib.data.files.paths import resolve_paths
from lib.data.trees.schema import BranchAdvice, BranchPlan, FileSchema, check_files
from lib.errors import DataError, nearest
from lib.export.metadata import ModelMetadata


def branch_plan(metadata: ModelMetadata, truth: Sequence[str], renamed: Mapping[str, str]) -> BranchPlan:
    """Return the branches that a model asks for.

    Args:
        metadata: Of the model; the names come from it and not from a configuration that could be changed.
        truth: Branches of the truth that are wanted.
        renamed: Names of branches in the input, by the names that they have here, where they differ from those of the
            training.

    Raises:
        DataError: If a branch is renamed that is not read.
    """
    advice = BranchAdvice(tree="", npho="", time="", truth="Leave out --compare_truth", renamed="Set --branch")
    needed = (metadata.npho_branch, metadata.time_branch, *truth, RUN, EVENT)
    names = {name: it for name, it in metadata.branches.items() if name in needed} | _known(renamed, needed)
    return BranchPlan(
        *(metadata.tree_name, metadata.npho_branch, metadata.time_branch, tuple(truth)),
        advice=advice,
        renamed=tuple(sorted(names.items())),
    )


def _known(names: Mapping[str, str], needed: Sequence[str]) -> dict[str, str]:
    for name in names:
        if name not in needed:
            raise DataError(f"--branch {name}: this model reads no {name!r}; nearest: {nearest(name, needed)}.")
    return dict(names)


def check_inputs(model: Path, inputs: Sequence[str], plan: BranchPlan) -> list[FileSchema]:
    """Return the files of the input, checked.

    Args:
        model: The exported file, for messages.
        inputs: ROOT files, folders, globs or lists of these.
        plan: The branches that it asks for.

    Raises:
        DataError: If a file is missing, damaged, or has not the branches.
    """
    paths = resolve_paths(inputs)
    try:
        return check_files(paths, plan)
    except DataError as error:
        truth = f"; for --compare_truth also {', '.join(plan.truth_branches)}" if plan.truth_branches else ""
        raise DataError(
            f"{error}\n{model} was trained on the branches {plan.npho_branch!r} and {plan.time_branch!r} of tree "
            f"{plan.tree_name!r}, so the input must have them{truth}."
        ) from error
