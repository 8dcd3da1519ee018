"""Predictions as text: one file per task, one line per event, written as they come."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from lib.atomic import atomic_path
from lib.errors import DataError
from lib.evaluation.evaluation import RegressionEvaluation
from lib.geometry.sensors import FloatArray
from lib.tasks.regression import ERROR_SUFFIX

_LABELS: Final = {
    "angle": ("theta", "phi"),
    "energy": ("energy",),
    "timing": ("time",),
    "uvwFI": ("u", "v", "w"),
    "angleVec": ("x", "y", "z"),
    "n_gamma": ("p0", "p1", "p2", "p3", "p4"),
}
_TRUE_LABELS: Final = _LABELS | {"n_gamma": ("n_gamma",)}
_PARTS: Final = ("true_", "pred_", "sigma_")
_CHUNK_ROWS: Final = 16384


@dataclass(frozen=True, eq=False)
class EventColumns:
    """Predictions of some events.

    Attributes:
        run: Run numbers, shape (N,).
        event: Event numbers, shape (N,).
        predicted: By task name, shape (N, width), in the units of the targets; errors as ``<task>_sigma``.
        true: By task name, shape (N, width).
    """

    run: NDArray[np.int64]
    event: NDArray[np.int64]
    predicted: Mapping[str, FloatArray]
    true: Mapping[str, FloatArray]


class PredictionTables:
    """Writes one line per event to a file for each task.

    Args:
        files: Open files by task name.
    """

    def __init__(self, files: Mapping[str, TextIO]) -> None:
        self._writers = {task: csv.writer(file) for task, file in files.items()}
        self._has_header = False

    def write(self, events: EventColumns) -> None:
        """Append some events: run, event, then truth, prediction and predicted error of each component."""
        for task, writer in self._writers.items():
            parts = {"true": events.true[task], "pred": events.predicted[task]}
            if task + ERROR_SUFFIX in events.predicted:
                parts["sigma"] = events.predicted[task + ERROR_SUFFIX]
            if not self._has_header:
                labels = {part: (_TRUE_LABELS if part == "true" else _LABELS)[task] for part in parts}
                names = [f"{part}_{label}" for part, found in labels.items() for label in found]
                writer.writerow(["run", "event", *names])
            columns = [events.run, events.event, *(column for values in parts.values() for column in values.T)]
            writer.writerows(zip(*(column.tolist() for column in columns), strict=True))
        self._has_header = True


def table_path(folder: Path, task: str, run_name: str) -> Path:
    """Return where the predictions of a task are written."""
    return folder / f"predictions_{task}_{run_name}.csv"


@contextmanager
def prediction_tables(folder: Path, run_name: str, tasks: Sequence[str]) -> Iterator[PredictionTables]:
    """Yield a writer whose files get their names when the block ends well.

    Args:
        folder: Where they are written.
        run_name: End of their names.
        tasks: Tasks that are predicted.
    """
    with ExitStack() as stack:
        paths = {task: stack.enter_context(atomic_path(table_path(folder, task, run_name))) for task in tasks}
        yield PredictionTables(
            {task: stack.enter_context(path.open("w", newline="", encoding="utf-8")) for task, path in paths.items()}
        )


def read_tables(paths: Mapping[str, Path]) -> Iterator[EventColumns]:
    """Yield the events of tables of the same run, some thousands at a time.

    Args:
        paths: File by task name; all hold the same events in the same order.

    Raises:
        DataError: If a file is missing or is no such table, or if two hold different events.
    """
    try:
        with ExitStack() as stack:
            readers = {
                task: csv.reader(stack.enter_context(path.open(newline="", encoding="utf-8")))
                for task, path in paths.items()
            }
            headers = {task: _header(next(reader, []), task, paths[task]) for task, reader in readers.items()}
            while True:
                rows = {task: _rows(reader, headers[task], paths[task]) for task, reader in readers.items()}
                if not any(len(found) for found in rows.values()):
                    return
                yield _columns(rows, headers, paths)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}).") from error


def _header(names: list[str], task: str, path: Path) -> list[str]:
    labels = _LABELS[task]
    expected = ["run", "event", *(f"true_{label}" for label in _TRUE_LABELS[task]), *(f"pred_{one}" for one in labels)]
    if names not in (expected, [*expected, *(f"sigma_{label}" for label in labels)]):
        raise DataError(f"{path}: expected a table with the columns {', '.join(expected)}, got {', '.join(names)}.")
    return names


def _rows(reader: Iterator[list[str]], header: list[str], path: Path) -> FloatArray:
    lines = list(islice(reader, _CHUNK_ROWS))
    try:
        return np.array(lines, dtype=np.float64).reshape(len(lines), len(header))
    except ValueError as error:
        raise DataError(
            f"{path}: a line does not hold {len(header)} numbers ({error}). Write the table anew."
        ) from error


def _columns(
    rows: Mapping[str, FloatArray], headers: Mapping[str, list[str]], paths: Mapping[str, Path]
) -> EventColumns:
    first_task, first = next(iter(rows.items()))
    predicted: dict[str, FloatArray] = {}
    true: dict[str, FloatArray] = {}
    for task, found in rows.items():
        if len(found) != len(first) or not np.array_equal(found[:, :2], first[:, :2]):
            raise DataError(f"{paths[task]} and {paths[first_task]} hold different events; take tables of one run.")
        starts = {part: [i for i, name in enumerate(headers[task]) if name.startswith(part)] for part in _PARTS}
        true[task], predicted[task] = found[:, starts["true_"]], found[:, starts["pred_"]]
        if starts["sigma_"]:
            predicted[task + ERROR_SUFFIX] = found[:, starts["sigma_"]]
    return EventColumns(first[:, 0].astype(np.int64), first[:, 1].astype(np.int64), predicted, true)


def find_tables(folder: Path, run_name: str | None) -> dict[str, Path]:
    """Return the tables of a run by task name.

    Args:
        folder: Where they are.
        run_name: End of their names; None where the folder holds those of one run.

    Raises:
        DataError: If there are none, or those of several runs.
    """
    found: dict[str, Path] = {}
    for task in _LABELS:
        matching = sorted(folder.glob(f"predictions_{task}_{run_name or '*'}.csv"))
        if len(matching) > 1:
            names = ", ".join(path.name for path in matching)
            raise DataError(f"{folder}: holds tables of several runs ({names}). Say which one by its name.")
        if matching:
            found[task] = matching[0]
    if not found:
        raise DataError(f"{folder}: holds no table predictions_<task>_{run_name or '<run>'}.csv.")
    return found


def evaluate_tables(paths: Mapping[str, Path]) -> RegressionEvaluation:
    """Return the evaluation of tables of one run, however many events they hold; raises like ``read_tables``."""
    evaluation = RegressionEvaluation(list(paths))
    for events in read_tables(paths):
        evaluation.add(events.predicted, events.true)
    return evaluation
