"""Streaming inference: from ROOT files through an exported model to a ROOT file, chunk by chunk."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.trees.schema import FileSchema
from lib.data.trees.source import RawChunk
from lib.data.trees.tree_reading import FloatArray
from lib.errors import DataError, ExportError, nearest
from lib.export.event_input import EntryRange, EventInput, EventPart, entry_ranges
from lib.export.event_progress import show_progress
from lib.export.inference_parts import Columns, PartFolder, file_digest
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.model_input import branch_plan, check_inputs
from lib.export.prediction_writer import prediction_file
from lib.export.session import ExportedModel
from lib.export.truth_comparison import TruthComparison

logger = logging.getLogger(__name__)

CHUNK_EVENTS = 1024
"""Events that are read at a time; 39 MB."""

_READING_THREADS = 2
_ERROR_SUFFIX = "_sigma"


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
        tasks: The outputs that are wanted, with their errors; all by default.
        keep: Branches of the input that the output carries too.
        recover_dead: Whether sensors without a photon count are restored like dead ones.
    """

    model: Path
    inputs: Sequence[str]
    output: Path
    batch_size: int
    num_threads: int
    compare_truth: bool
    branches: Mapping[str, str] = field(default_factory=dict)
    tasks: Sequence[str] = ()
    keep: Sequence[str] = ()
    recover_dead: bool = False


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

    Each range of events is kept on the disk when it is predicted, and the output is made of them at the end: the same
    call after a kill predicts what is missing. Memory does not grow with the number of events; a comparison with the
    truth keeps both, 56 bytes an event for all four tasks.

    Args:
        options: What to do.

    Raises:
        UserError: If model, input or output cannot serve.
    """
    model = ExportedModel.open(options.model, num_threads=options.num_threads)
    outputs = _chosen(model.metadata, options)
    values = [output.truth_branch for output in outputs if output.role == "value"] if options.compare_truth else []
    plan = branch_plan(model.metadata, values, options.branches)
    files = check_inputs(options.model, options.inputs, plan)
    _refuse_overwriting(options.output, files)
    source = EventInput(
        files, plan, keep=options.keep, dead="dead" in model.metadata.inputs, recover=options.recover_dead
    )
    ranges = entry_ranges(files, CHUNK_EVENTS)
    try:
        parts = PartFolder(options.output, _identity(options, files, outputs))
    except OSError as error:
        raise DataError(f"{options.output}: cannot be written ({error.strerror}). Choose another --output.") from error
    try:
        _predict_missing(model, source, ranges, parts, outputs, options)
        result = _join(parts, ranges, model.metadata, outputs, options)
    except OSError as error:
        raise DataError(f"{options.output}: cannot be written ({error.strerror}). Choose another --output.") from error
    finally:
        parts.release()
    parts.remove()
    return result


def _predict_missing(
    model: ExportedModel,
    source: EventInput,
    ranges: Sequence[EntryRange],
    parts: PartFolder,
    outputs: Sequence[OutputDescription],
    options: InferenceOptions,
) -> None:
    """Predict the ranges that are not kept yet; reading, computing and keeping overlap."""
    missing = [entries for entries in ranges if not parts.is_done(entries.number)]
    num_events, num_done = (sum(it.stop - it.start for it in some) for some in (missing, ranges))
    logger.info("%d events, %d of them kept from before; %s", num_done, num_done - num_events, model.provider)
    names = [output.name for output in outputs]
    with ThreadPoolExecutor(1, thread_name_prefix="keep") as writer:
        waiting: Future[None] | None = None
        for part in show_progress(source.read_all(missing, threads=_READING_THREADS), num_events):
            predictions = predict(model, part.chunk, options.batch_size, dead=part.dead)
            columns = _columns({name: predictions[name] for name in names}, part)
            if waiting is not None:
                waiting.result()
            waiting = writer.submit(parts.save, part.entries.number, columns)
        if waiting is not None:
            waiting.result()


def _columns(predictions: Mapping[str, FloatArray], part: EventPart) -> Columns:
    """Return all that is kept of a part, each name behind the sort of thing it is."""
    return {
        "run": part.chunk.run,
        "event": part.chunk.event,
        **{f"output/{name}": values.reshape(len(values), -1) for name, values in predictions.items()},
        **{f"truth/{name}": values for name, values in part.chunk.truth.items()},
        **{f"kept/{name}": values for name, values in part.kept.items()},
    }


def _of_sort(columns: Columns, sort: str) -> Columns:
    prefix = f"{sort}/"
    return {name.removeprefix(prefix): values for name, values in columns.items() if name.startswith(prefix)}


def _join(
    parts: PartFolder,
    ranges: Sequence[EntryRange],
    metadata: ModelMetadata,
    outputs: Sequence[OutputDescription],
    options: InferenceOptions,
) -> InferenceResult:
    """Write the output from the parts, one in memory at a time."""
    first = parts.load(0)
    kept = {name: np.dtype((values.dtype, values.shape[1:])) for name, values in _of_sort(first, "kept").items()}
    widths = {name: values.shape[1] for name, values in _of_sort(first, "output").items()}
    values = [output for output in outputs if output.role == "value"]
    comparison = TruthComparison(values) if options.compare_truth else None
    with prediction_file(options.output, metadata, outputs, kept=kept, widths=widths) as writer:
        for entries in ranges:
            columns = parts.load(entries.number)
            predictions = _of_sort(columns, "output")
            writer.write(columns["run"], columns["event"], predictions, _of_sort(columns, "kept"))
            if comparison is not None:
                comparison.add(predictions, _of_sort(columns, "truth"))
    return InferenceResult(sum(it.stop - it.start for it in ranges), comparison)


def _identity(
    options: InferenceOptions, files: Sequence[FileSchema], outputs: Sequence[OutputDescription]
) -> dict[str, Any]:
    """Return what a part depends on; numbers of threads and sizes of batches are left out."""
    return {
        "model": file_digest(options.model),
        "files": [[str(it.path), it.layout.size, it.layout.mtime_ns, it.num_entries] for it in files],
        "outputs": [output.name for output in outputs],
        "keep": list(options.keep),
        "branches": dict(options.branches),
        "recover_dead": options.recover_dead,
        "compare_truth": options.compare_truth,
        "events_per_part": CHUNK_EVENTS,
    }


def _chosen(metadata: ModelMetadata, options: InferenceOptions) -> list[OutputDescription]:
    """Return the outputs of the chosen tasks, with their errors; all by default."""
    if options.recover_dead and "dead" not in metadata.inputs:
        raise ExportError(
            f"--recover_dead: {options.model} restores nothing. Export the regressor with --inpainter CKPT, or an "
            "inpainter."
        )
    tasks = {output.name.removesuffix(_ERROR_SUFFIX): None for output in metadata.outputs}
    for task in options.tasks:
        if task not in tasks:
            raise ExportError(f"--tasks {task}: {options.model} has no such output; nearest: {nearest(task, tasks)}.")
    chosen = options.tasks or list(tasks)
    return [output for output in metadata.outputs if output.name.removesuffix(_ERROR_SUFFIX) in chosen]


def predict(
    model: ExportedModel, chunk: RawChunk, batch_size: int, *, dead: NDArray[np.bool_] | None = None
) -> dict[str, FloatArray]:
    """Return the predictions of a chunk by output name, shape (n, ...), computed in batches.

    Args:
        model: What predicts.
        chunk: Readings of n events.
        batch_size: Events of a run.
        dead: Sensors to be restored, shape (n, 4760), for a model that restores.
    """
    batches = [slice(start, start + batch_size) for start in range(0, len(chunk), batch_size)]
    parts = [model.run(chunk.npho[rows], chunk.time[rows], None if dead is None else dead[rows]) for rows in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _refuse_overwriting(output: Path, files: Sequence[FileSchema]) -> None:
    if output.resolve() in {file.path.resolve() for file in files}:
        raise DataError(f"{output}: is one of the input files and would be replaced. Choose another --output.")
