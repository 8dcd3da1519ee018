"""A checkpoint and its exported file, event by event on the same ROOT files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from lib.errors import DataError, ExportError
from lib.evaluation.statistics.resolution import ResolutionSummary
from lib.export.event_input import EntryRange, EventInput, EventPart, entry_ranges
from lib.export.event_progress import show_progress
from lib.export.exportable import Exportable
from lib.export.form_differences import Difference, FormDifferences
from lib.export.form_speed import Speed, measure_speeds
from lib.export.forms import CppForm, Form, PythonForm, Readings, TorchForm
from lib.export.metadata import ModelMetadata
from lib.export.model_export import ExportOptions, describe, exportable
from lib.export.model_input import branch_plan, check_inputs
from lib.export.parity import TOLERANCES
from lib.export.session import ExportedModel
from lib.export.truth_comparison import TruthComparison
from lib.tasks.regression import ERROR_SUFFIX
from lib.tasks.restore import TrainedModel

CHUNK_EVENTS = 512
"""Events in memory; 20 MB, and for restored sensors as much again for each form."""


@dataclass(frozen=True)
class ValidationOptions:
    """What is compared, and on what.

    Attributes:
        model: The exported file.
        inputs: ROOT files, folders, globs or lists of these.
        program: The C++ program, as ``lib.export.cpp_program.build_program`` returns it; None leaves that form out.
        scratch: Folder for what the program reads and writes.
        num_events: The first events of the input that are used.
        batch_size: Events per run of the model.
        num_threads: Threads of each form in ONNX Runtime.
        repeat: Timed runs, of which the median counts.
        compare_truth: Whether the input holds the truth, and resolutions are wanted.
        branches: Names of branches in the input, where they differ from those of the training.
    """

    model: Path
    inputs: Sequence[str]
    program: Path | None
    scratch: Path
    num_events: int = 10_000
    batch_size: int = 64
    num_threads: int = 1
    repeat: int = 9
    compare_truth: bool = True
    branches: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Validation:
    """What a comparison gave.

    Attributes:
        num_events: Events that were compared.
        differences: From torch, of each other form and each output.
        places: File and entry of the worst event of each of these.
        resolutions: Of each form, against the truth; empty without it.
        speeds: Of each form.
        tolerance: Largest difference that the file's precision allows.
    """

    num_events: int
    differences: list[Difference]
    places: list[str]
    resolutions: dict[str, list[ResolutionSummary]]
    speeds: list[Speed]
    tolerance: float

    def check(self) -> None:
        """Raise ``ExportError`` if a form differs by more than the tolerance."""
        worst = int(np.argmax([difference.largest for difference in self.differences]))
        difference = self.differences[worst]
        if not difference.largest <= self.tolerance:
            raise ExportError(
                f"Output {difference.output!r} of {difference.form} differs from torch by {difference.largest:.2g} of "
                f"its spread at {self.places[worst]}, accepted are {self.tolerance:g}. Export the checkpoint again."
            )


def validate_export(trained: TrainedModel, inpainter: TrainedModel | None, options: ValidationOptions) -> Validation:
    """Compare torch, ONNX Runtime in Python and ONNX Runtime in C++ on the first events of some files.

    Args:
        trained: The model that the file was exported from.
        inpainter: What restores dead sensors before a regressor, for a file with both.
        options: The file, the events, and how.

    Raises:
        UserError: If the file is not that model's, or the input cannot serve.
    """
    exported = ExportedModel.open(options.model, num_threads=options.num_threads, use_gpu=False)
    metadata = exported.metadata
    original = _original(trained, inpainter, metadata, options.model)
    forms: list[Form] = [TorchForm(original), PythonForm(exported)]
    if options.program is not None:
        forms.append(
            CppForm(options.program, options.model, metadata, scratch=options.scratch, threads=options.num_threads)
        )
    events = _Events(metadata, options)
    values = metadata.values if options.compare_truth else ()
    truth = {form.name: TruthComparison(values) for form in forms} if values else {}
    collected = FormDifferences(original)
    for part in show_progress(events.read(), events.num_events):
        said = {form.name: form.predict(_readings(part), options.batch_size) for form in forms}
        for form in forms[1:]:
            collected.add(form.name, said[forms[0].name], said[form.name])
        for name, comparison in truth.items():
            comparison.add(said[name], part.chunk.truth)
    differences = collected.summaries()
    return Validation(
        num_events=events.num_events,
        differences=differences,
        places=[events.place(difference.event) for difference in differences],
        resolutions={name: comparison.summaries() for name, comparison in truth.items()},
        speeds=measure_speeds(forms, events.first_batch(), options.repeat),
        tolerance=TOLERANCES[metadata.precision],
    )


def _original(
    trained: TrainedModel, inpainter: TrainedModel | None, metadata: ModelMetadata, source: Path
) -> Exportable:
    """Return the function that the file should be, made of the checkpoint."""
    is_regressor = trained.checkpoint.kind == "regressor"
    tasks = tuple(dict.fromkeys(output.name.removesuffix(ERROR_SUFFIX) for output in metadata.outputs))
    model = exportable(trained, ExportOptions(tasks if is_regressor else (), inpainter)).eval()
    ours = describe(trained, model, metadata.precision)
    different = [name for name, value in asdict(ours).items() if value != asdict(metadata)[name]]
    if different:
        raise ExportError(
            f"{source}: not exported from this checkpoint; what they say of {', '.join(different)} differs. Give the "
            "checkpoint that the file was made of, and for a chain --inpainter."
        )
    return model


class _Events:
    """The first events of the input.

    Args:
        metadata: What the model reads.
        options: Where they are.
    """

    def __init__(self, metadata: ModelMetadata, options: ValidationOptions) -> None:
        truth = [output.truth_branch for output in metadata.values] if options.compare_truth else []
        plan = branch_plan(metadata, truth, options.branches)
        self._files = check_inputs(options.model, options.inputs, plan)
        takes_dead = "dead" in metadata.inputs
        self._input = EventInput(self._files, plan, keep=[], dead=takes_dead, recover=takes_dead)
        self._ranges = _first(entry_ranges(self._files, CHUNK_EVENTS), options.num_events)
        self.num_events = sum(it.stop - it.start for it in self._ranges)
        if not self.num_events:
            raise DataError(f"{' '.join(options.inputs)}: there is no event to compare.")
        self._batch_size = options.batch_size
        self._first_batch: Readings = {}

    def read(self) -> Iterator[EventPart]:
        for part in self._input.read_all(self._ranges, threads=1):
            self._first_batch = self._first_batch or _readings(part)
            yield part

    def place(self, number: int) -> str:
        """Return file and entry of an event, by its number among those that were read."""
        before = 0
        for entries in self._ranges:
            if number < before + entries.stop - entries.start:
                return f"{self._files[entries.file_index].path} entry {entries.start + number - before}"
            before += entries.stop - entries.start
        raise IndexError(number)

    def first_batch(self) -> Readings:
        """Return a batch of the events that were read first, as many as there are."""
        return {name: values[: self._batch_size] for name, values in self._first_batch.items()}


def _first(ranges: Sequence[EntryRange], num_events: int) -> list[EntryRange]:
    chosen: list[EntryRange] = []
    left = num_events
    for entries in ranges:
        stop = min(entries.stop, entries.start + left)
        if stop > entries.start:
            chosen.append(EntryRange(entries.number, entries.file_index, entries.start, stop))
            left -= stop - entries.start
    return chosen


def _readings(part: EventPart) -> Readings:
    """Return the inputs of the model by name, shape (n, 4760) each."""
    dead = {} if part.dead is None else {"dead": part.dead}
    return {"npho": part.chunk.npho, "time": part.chunk.time, **dead}
