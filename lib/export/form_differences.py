"""How far the forms of an exported function are from each other."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lib.export.exportable import Exportable, FloatArray
from lib.export.parity import scaled_difference

Outputs = Mapping[str, FloatArray]
"""Outputs of one form by name."""


@dataclass(frozen=True)
class Difference:
    """How far one output of one form is from the reference, in units of the output's spread.

    Attributes:
        form: The form.
        output: The output.
        largest: Over all events.
        typical: 99.9 % of the events differ less.
        event: Number of the worst event, in the order of comparison.
    """

    form: str
    output: str
    largest: float
    typical: float
    event: int


class FormDifferences:
    """Collects the differences of every event.

    Args:
        original: Supplies the spread of each output.
    """

    def __init__(self, original: Exportable) -> None:
        self._outputs = original.outputs
        self._found: dict[tuple[str, str], list[FloatArray]] = {}

    def add(self, form: str, reference: Outputs, said: Outputs) -> None:
        """Compare some events of a form with the reference; a form's numbers may lie flat, shape (n, numbers)."""
        for output in self._outputs:
            expected = reference[output.name]
            differences = scaled_difference(output, expected, said[output.name].reshape(expected.shape))
            self._found.setdefault((form, output.name), []).append(differences)

    def summaries(self) -> list[Difference]:
        """Return largest and usual difference of each form and output."""
        return [_summary(form, output, np.concatenate(found)) for (form, output), found in self._found.items()]


def _summary(form: str, output: str, differences: FloatArray) -> Difference:
    worst = int(np.argmax(differences))
    # An infinite difference is no number between two others.
    typical = float(np.quantile(differences, 0.999, method="higher"))
    return Difference(form, output, float(differences[worst]), typical, worst)
