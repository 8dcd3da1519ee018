"""Predictions beside the truth: widths and biases of the residuals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.data.branches import INVALID_ABOVE
from lib.data.tree_reading import FloatArray
from lib.export.metadata import OutputDescription
from lib.geometry.coordinates import emission_vector, opening_angle

_OPENING_ANGLE = "opening angle"
_DISTANCE = "distance"


@dataclass(frozen=True)
class ComparisonRow:
    """The residuals of one quantity.

    Attributes:
        task: Task of the quantity.
        label: Component of the task; or the opening angle or distance between prediction and truth.
        unit: Unit of the numbers.
        num_events: Events whose truth and prediction are known.
        width_68: 68th percentile of the size of the residuals.
        bias: Median of the residuals; None for an opening angle or distance, which has no sign.
    """

    task: str
    label: str
    unit: str
    num_events: int
    width_68: float
    bias: float | None


class TruthComparison:
    """Collects residuals, four bytes a number.

    Args:
        outputs: What is predicted.
    """

    def __init__(self, outputs: Sequence[OutputDescription]) -> None:
        self._outputs = outputs
        self._residuals: dict[tuple[str, str], list[FloatArray]] = {}

    def add(self, predictions: Mapping[str, FloatArray], truth: Mapping[str, FloatArray]) -> None:
        """Take in a batch; events without truth or with a prediction that is not finite are left out.

        Args:
            predictions: By output name, shape (n, width).
            truth: By branch name, shape (n, width).
        """
        for output in self._outputs:
            true, predicted = truth[output.truth_branch], predictions[output.name]
            known = (np.abs(true) < INVALID_ABOVE).all(axis=1) & np.isfinite(predicted).all(axis=1)
            for label, residual in _residuals(output, predicted[known], true[known]).items():
                self._residuals.setdefault((output.name, label), []).append(residual.astype(np.float32))

    def rows(self) -> list[ComparisonRow]:
        """Return width and bias of every quantity; NaN where no event is known."""
        units = {output.name: output.unit for output in self._outputs}
        return [
            _row(task, label, units[task], np.concatenate(parts)) for (task, label), parts in self._residuals.items()
        ]


def format_rows(rows: Sequence[ComparisonRow]) -> str:
    """Return a table as text, one line per row below a heading."""
    lines = [f"{'quantity':24s}{'68 %':>12s}{'bias':>12s}  {'unit':6s}{'events':>10s}"]
    for row in rows:
        bias = "" if row.bias is None else f"{row.bias:.4g}"
        lines.append(
            f"{f'{row.task} {row.label}':24s}{row.width_68:12.4g}{bias:>12s}  {row.unit:6s}{row.num_events:10d}"
        )
    return "\n".join(lines) + "\n"


def _residuals(output: OutputDescription, predicted: FloatArray, true: FloatArray) -> dict[str, FloatArray]:
    components = {label: predicted[:, i] - true[:, i] for i, label in enumerate(output.labels)}
    match output.labels:
        case ("theta", "phi"):
            components[_OPENING_ANGLE] = opening_angle(emission_vector(predicted), emission_vector(true))
        case ("u", "v", "w"):
            components[_DISTANCE] = np.linalg.norm(predicted - true, axis=1)
    return components


def _row(task: str, label: str, unit: str, residuals: FloatArray) -> ComparisonRow:
    count = len(residuals)
    width = float(np.percentile(np.abs(residuals), 68)) if count else np.nan
    median = float(np.median(residuals)) if count else np.nan
    return ComparisonRow(task, label, unit, count, width, None if label in {_OPENING_ANGLE, _DISTANCE} else median)
