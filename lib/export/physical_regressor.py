"""The regressor as it is exported: from sensor readings to physical quantities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.data.normalization import Normalization
from lib.export.exportable import Exportable, FloatArray
from lib.export.metadata import OutputDescription, Role
from lib.models.output_correction import EnergyTerms, OutputCorrection
from lib.models.regressor import Regressor
from lib.tasks.regression import ERROR_SUFFIX
from lib.tasks.targets import Target


@dataclass(frozen=True)
class PhysicalOutput:
    """One named output of the exported function.

    Attributes:
        target: What it is about.
        role: Whether it is the value, its predicted error, or a probability of each class.
    """

    target: Target
    role: Role

    @property
    def name(self) -> str:
        """Name of the task, with a suffix for errors."""
        return self.target.name + (ERROR_SUFFIX if self.role == "error" else "")

    def of(self, said: Tensor, correction: OutputCorrection, terms: EnergyTerms) -> Tensor:
        """Return the output, corrected, shape (B, width), in the target's unit, of what the head said.

        Args:
            said: Shape (B, numbers of the head).
            correction: The model's.
            terms: What it says of these events.
        """
        match self.role:
            case "error":
                return correction.errors(self.target.name, self.target.to_error(said), terms)
            case "value":
                return correction.values(self.target.name, self.target.to_physical(said), terms)
        return self.target.to_physical(said)

    def description(self) -> OutputDescription:
        """Return what the file says about it."""
        target = self.target
        return OutputDescription(self.name, target.labels, target.unit, target.branch, self.role)

    def scaled(self, values: FloatArray) -> NDArray[np.float64]:
        """Return values of shape (B, width) in units of the target's spread.

        For a logarithmic target the spread grows with the value.
        """
        if self.role == "value":
            return self.target.to_scaled(torch.as_tensor(values, dtype=torch.float64)).numpy()
        # Errors and probabilities have their zero at zero.
        return values.astype(np.float64) / np.array([self.target.unit_scale(i) for i in range(self.target.width)])


def corrected(
    outputs: Sequence[PhysicalOutput], said: Mapping[str, Tensor], correction: OutputCorrection
) -> list[Tensor]:
    """Return the outputs, corrected, each of shape (B, width), of what all heads of a regressor said."""
    terms = correction.terms(said)
    return [output.of(said[output.target.name], correction, terms) for output in outputs]


def physical_outputs(targets: Sequence[Target]) -> tuple[PhysicalOutput, ...]:
    """Return the outputs of the heads of some targets, errors after the values they belong to."""
    outputs: list[PhysicalOutput] = []
    for target in targets:
        outputs.append(PhysicalOutput(target, "probability" if target.transform == "classes" else "value"))
        if target.errors:
            outputs.append(PhysicalOutput(target, "error"))
    return tuple(outputs)


class PhysicalRegressor(Exportable):
    """A regressor between its normalization and the inverse of its targets' transforms, with its correction.

    Args:
        regressor: Predicts scaled targets; heads of other targets are left out of the graph.
        normalization: Transform of its inputs.
        targets: What is predicted, in the order of the outputs.
    """

    kind = "regressor"
    outputs: tuple[PhysicalOutput, ...]

    def __init__(self, regressor: Regressor, normalization: Normalization, targets: Sequence[Target]) -> None:
        super().__init__()
        self.regressor = regressor
        self.normalization = normalization
        self.outputs = physical_outputs(targets)

    def forward(self, npho: Tensor, time: Tensor) -> tuple[Tensor, ...]:
        """Return the predictions.

        Args:
            npho: Photons per sensor, shape (B, 4760), float32; more than 9e9 or not finite is no value.
            time: Seconds per sensor, shape (B, 4760), float32; beyond +-9e9 or not finite is no value.

        Returns:
            For each output, shape (B, width), in the unit of its target.
        """
        said = self.regressor(*self.normalization.apply(npho, time))
        return tuple(corrected(self.outputs, said, self.regressor.correction))
