"""What can be exported: a function of raw sensor readings whose outputs have names, units and a measure."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lib.export.metadata import OutputDescription

FloatArray = NDArray[np.float32]


class ExportedOutput(Protocol):
    """One named output of an exported function."""

    @property
    def name(self) -> str:
        """Name in the graph."""

    def description(self) -> OutputDescription:
        """Return what the file says about it."""

    def scaled(self, values: FloatArray) -> NDArray[np.float64]:
        """Return the values in units of their spread around their centre, shape (B, any number)."""


class Exportable(nn.Module):
    """A module in evaluation mode between raw readings and physical quantities.

    Its ``forward`` takes the named inputs in their order, shape (B, 4760) each: npho in photons and time in seconds,
    float32, where more than 9e9 or not finite is no value; and dead, bool, True for sensors to be restored. It returns
    a tuple of tensors, the batch being the first axis of each.

    Attributes:
        kind: What it is, for the metadata.
        inputs: Names of the arguments of ``forward``.
        outputs: What ``forward`` returns, in its order.
    """

    kind: str
    inputs: tuple[str, ...] = ("npho", "time")
    outputs: tuple[ExportedOutput, ...]
