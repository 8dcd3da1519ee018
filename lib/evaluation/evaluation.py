"""Predictions beside the truth: all tasks of a regressor, of any number of events."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from lib.data.branches import INVALID_ABOVE
from lib.evaluation.statistics.profile import axis_values
from lib.evaluation.task_evaluation import TaskEvaluation
from lib.geometry.sensors import FloatArray
from lib.tasks.regression import ERROR_SUFFIX

# Bins are filled for so many events at a time: a call costs as much as thousands of events.
BLOCK_EVENTS: Final = 16384

Columns = Mapping[str, FloatArray]


class RegressionEvaluation:
    """Collects predictions and truth; keeps a block of events and, beyond it, distributions alone.

    Args:
        tasks: Tasks that are predicted.
        with_profiles: Look at residuals along the truth, too; about 40 MB.
    """

    def __init__(self, tasks: Sequence[str], *, with_profiles: bool = True) -> None:
        self.num_events = 0
        self._names = tuple(tasks)
        self._with_profiles = with_profiles
        self._tasks: dict[str, TaskEvaluation] = {}
        self._waiting: list[tuple[dict[str, FloatArray], dict[str, FloatArray]]] = []
        self._num_waiting = 0

    def add(self, predicted: Columns, true: Columns) -> None:
        """Take in some events.

        Args:
            predicted: By task name, shape (N, width), in the units of the targets; errors as ``<task>_sigma``.
            true: By task name, of the predicted tasks and of whatever else is known; 1e10 where it is not.
        """
        usable = {name: _without_sentinels(values) for name, values in true.items()}
        self._waiting.append((dict(predicted), usable))
        number = len(predicted[self._names[0]])
        self.num_events += number
        self._num_waiting += number
        if self._num_waiting >= BLOCK_EVENTS:
            self._flush()

    def join(self, other: "RegressionEvaluation") -> None:
        """Take in what the evaluation of other events has."""
        theirs = other.tasks
        for name, mine in self.tasks.items():
            mine.join(theirs[name])
        if not self._tasks:
            self._tasks = theirs
        self.num_events += other.num_events

    @property
    def tasks(self) -> dict[str, TaskEvaluation]:
        """What is known of each task; empty without events."""
        self._flush()
        return self._tasks

    def _flush(self) -> None:
        if not self._waiting:
            return
        predicted, true = (_concatenated([pair[side] for pair in self._waiting]) for side in (0, 1))
        self._waiting, self._num_waiting = [], 0
        axes = axis_values(true) if self._with_profiles else {}
        if not self._tasks:
            self._tasks = {name: TaskEvaluation(name, list(axes)) for name in self._names}
        for name, task in self._tasks.items():
            task.add(predicted[name], true[name], errors=predicted.get(name + ERROR_SUFFIX), axes=axes)


def _without_sentinels(values: FloatArray) -> FloatArray:
    return np.where(np.abs(values) > INVALID_ABOVE, np.asarray(np.nan, values.dtype), values)


def _concatenated(blocks: Sequence[Columns]) -> dict[str, FloatArray]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
