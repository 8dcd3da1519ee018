"""The function that is exported: from sensor readings to physical quantities."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.export.metadata import OutputRole
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
    role: OutputRole

    @property
    def name(self) -> str:
        """Name of the task, with a suffix for errors."""
        return self.target.name + (ERROR_SUFFIX if self.role == "error" else "")

    def of(self, said: Tensor) -> Tensor:
        """Return the output, shape (B, width), in the target's unit, of what the head said."""
        return self.target.to_error(said) if self.role == "error" else self.target.to_physical(said)


def physical_outputs(targets: Sequence[Target]) -> tuple[PhysicalOutput, ...]:
    """Return the outputs of the heads of some targets, errors after the values they belong to."""
    outputs: list[PhysicalOutput] = []
    for target in targets:
        outputs.append(PhysicalOutput(target, "probability" if target.transform == "classes" else "value"))
        if target.errors:
            outputs.append(PhysicalOutput(target, "error"))
    return tuple(outputs)


class PhysicalRegressor(nn.Module):
    """A regressor between its normalization and the inverse of its targets' transforms.

    Args:
        regressor: Predicts scaled targets; heads of other targets are left out of the graph.
        normalization: Transform of its inputs.
        targets: What is predicted, in the order of the outputs.
    """

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
        return tuple(output.of(said[output.target.name]) for output in self.outputs)
