"""Streaming inference: from ROOT files through an exported model to a ROOT file, chunk by chunk."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.data.branches import EVENT, RUN
from lib.data.paths import resolve_paths
from lib.data.schema import BranchAdvice, BranchPlan, FileSchema, check_files
from lib.data.source import RawChunk, iterate_raw
from lib.data.tree_reading import FloatArray
from lib.errors import DataError, nearest
from lib.export.event_progress import show_progress
from lib.export.prediction_writer import prediction_file
from lib.export.session import ExportedModel
from lib.export.truth_comparison import TruthComparison

logger = logging.getLogger(__name__)

CHUNK_EVENTS = 1024
"""Events that are read at a time; 39 MB."""

_READING_THREADS = 2


@dataclass(frozen=True)
class InferenceOptions:
    """What a run of the inference was told.

    Attributes:
        model: The exported file.
        inputs: ROOT files, folders, globs or lists of these.
        output: The file to write.
        batch_size: Events per run of the model.
        num_threads: Threads of the model; 0 takes one per core.
        compare_truth: Whether the input holds the truth and the predictions are compared with it.
        branches: Names of branches in the input, by the names that they have here, where they differ from those of
            the training.
    """

    model: Path
    inputs: Sequence[str]
    output: Path
    batch_size: int
    num_threads: int
    compare_truth: bool
    branches: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class InferenceResult:
    """What a run of the inference gave.

    Attributes:
        num_events: Events that were written.
        comparison: The predictions beside the truth; None if that was not asked for.
    """

    num_events: int
    comparison: TruthComparison | None


def infer(options: InferenceOptions) -> InferenceResult:
    """Predict every event of the input, in the order of files and entries.

    Memory does not grow with the number of events; a comparison with the truth keeps both, 56 bytes an event for
    all four tasks.

    Args:
        options: What to do.

    Raises:
        UserError: If model, input or output cannot serve; nothing is left behind then.
    """
    model = ExportedModel.open(options.model, num_threads=options.num_threads)
    metadata = model.metadata
    truth = tuple(output.truth_branch for output in metadata.values) if options.compare_truth else ()
    # The names come from the model and not from a configuration that could be changed.
    advice = BranchAdvice(tree="", npho="", time="", truth="Leave out --compare_truth", renamed="Set --branch")
    needed = (metadata.npho_branch, metadata.time_branch, *truth, RUN, EVENT)
    renamed = {name: it for name, it in metadata.branches.items() if name in needed} | _known(options.branches, needed)
    plan = BranchPlan(
        *(metadata.tree_name, metadata.npho_branch, metadata.time_branch, truth),
        advice=advice,
        renamed=tuple(sorted(renamed.items())),
    )
    files = _check_inputs(options, plan)
    _refuse_overwriting(options.output, files)
    num_events = sum(file.num_entries for file in files)
    comparison = TruthComparison(metadata.values) if options.compare_truth else None
    logger.info("%d events in %d files; %s", num_events, len(files), model.provider)
    chunks = iterate_raw(files, plan, chunk=CHUNK_EVENTS, threads=_READING_THREADS)
    with prediction_file(options.output, metadata) as writer:
        for chunk in show_progress(chunks, num_events):
            predictions = predict(model, chunk, options.batch_size)
            writer.write(chunk.run, chunk.event, predictions)
            if comparison is not None:
                comparison.add(predictions, chunk.truth)
    return InferenceResult(num_events, comparison)


def _known(names: Mapping[str, str], needed: Sequence[str]) -> dict[str, str]:
    for name in names:
        if name not in needed:
            raise DataError(f"--branch {name}: this model reads no {name!r}; nearest: {nearest(name, needed)}.")
    return dict(names)


def predict(model: ExportedModel, chunk: RawChunk, batch_size: int) -> dict[str, FloatArray]:
    """Return the predictions of a chunk by output name, shape (n, width), computed in batches."""
    starts = range(0, len(chunk), batch_size)
    parts = [
        model.run(chunk.npho[start : start + batch_size], chunk.time[start : start + batch_size]) for start in starts
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _check_inputs(options: InferenceOptions, plan: BranchPlan) -> list[FileSchema]:
    paths = resolve_paths(options.inputs)
    try:
        return check_files(paths, plan)
    except DataError as error:
        truth = f"; for --compare_truth also {', '.join(plan.truth_branches)}" if plan.truth_branches else ""
        raise DataError(
            f"{error}\n{options.model} was trained on the branches {plan.npho_branch!r} and {plan.time_branch!r} of "
            f"tree {plan.tree_name!r}, so the input must have them{truth}."
        ) from error


def _refuse_overwriting(output: Path, files: Sequence[FileSchema]) -> None:
    if output.resolve() in {file.path.resolve() for file in files}:
        raise DataError(f"{output}: is one of the input files and would be replaced. Choose another --output.")
