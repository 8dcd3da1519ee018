"""Predictions beside the truth, where the input has it."""

from collections.abc import Mapping, Sequence

import numpy as np

from lib.data.branches import INVALID_ABOVE
from lib.data.trees.tree_reading import FloatArray
from lib.evaluation.comparison import summarize_tasks
from lib.evaluation.statistics.resolution import ResolutionSummary
from lib.export.metadata import OutputDescription


class TruthComparison:
    """Collects predictions and truth, eight bytes a component and event.

    Args:
        outputs: What is predicted.
    """

    def __init__(self, outputs: Sequence[OutputDescription]) -> None:
        self._outputs = outputs
        self._predicted: dict[str, list[FloatArray]] = {output.name: [] for output in outputs}
        self._true: dict[str, list[FloatArray]] = {output.name: [] for output in outputs}

    def add(self, predictions: Mapping[str, FloatArray], truth: Mapping[str, FloatArray]) -> None:
        """Take in a batch.

        Args:
            predictions: By output name, shape (n, width).
            truth: By branch name, shape (n, width); an event with 1e10 has no truth.
        """
        for output in self._outputs:
            true = truth[output.truth_branch]
            self._predicted[output.name].append(predictions[output.name])
            # A residual that is no number is counted and left out.
            self._true[output.name].append(np.where(np.abs(true) > INVALID_ABOVE, np.float32(np.nan), true))

    def summaries(self) -> list[ResolutionSummary]:
        """Return core, 68 % and bias of every quantity of the events so far."""
        return summarize_tasks(_joined(self._predicted), _joined(self._true))


def _joined(parts: Mapping[str, list[FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}
