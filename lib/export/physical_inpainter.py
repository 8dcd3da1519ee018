"""The inpainter as it is exported, alone and before a regressor: dead sensors get readings, others keep theirs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.data.branches import NO_VALUE
from lib.data.normalization import Normalization
from lib.export.exportable import Exportable, FloatArray
from lib.export.metadata import INPUT_UNITS, OutputDescription
from lib.export.physical_regressor import PhysicalRegressor
from lib.models.inpainter import Inpainter

_TIME_CHANNEL = 1


@dataclass(frozen=True)
class RestoredOutput:
    """The readings of all sensors, measured or restored.

    Attributes:
        reading: Which of the inputs.
        normalization: Its network inputs are of order one.
    """

    reading: Literal["npho", "time"]
    normalization: Normalization

    @property
    def name(self) -> str:
        """Name in the graph; that of the input is taken."""
        return f"{self.reading}_restored"

    def description(self) -> OutputDescription:
        """Return what the file says about it."""
        return OutputDescription(self.name, ("sensor",), INPUT_UNITS[self.reading], self.reading, "restored")

    def scaled(self, values: FloatArray) -> NDArray[np.float64]:
        """Return readings of shape (B, 4760) as network inputs; no time is below a threshold here."""
        readings = torch.as_tensor(values, dtype=torch.float64)
        if self.reading == "npho":
            return self.normalization.channels(readings, torch.zeros_like(readings))[0].numpy()
        return readings.numpy() / self.normalization.time_scale


class PhysicalInpainter(Exportable):
    """An inpainter between its normalization and the inverse of that.

    Args:
        inpainter: Predicts the network inputs of every sensor.
        normalization: Transform of its inputs.
    """

    kind = "inpainter"
    inputs = ("npho", "time", "dead")

    def __init__(self, inpainter: Inpainter, normalization: Normalization) -> None:
        super().__init__()
        self.inpainter = inpainter
        self.normalization = normalization
        self.outputs = (RestoredOutput("npho", normalization), RestoredOutput("time", normalization))

    def forward(self, npho: Tensor, time: Tensor, dead: Tensor) -> tuple[Tensor, ...]:
        """Return photons and seconds of every sensor, shape (B, 4760) each: as they came where not dead.

        An inpainter that was not trained on times leaves a dead sensor without one.
        """
        restored = self.inpainter(*self.normalization.apply(npho, time), dead)
        photons = self.normalization.inverse_npho(restored[..., 0])
        if self.inpainter.num_channels > _TIME_CHANNEL:
            seconds = self.normalization.inverse_time(restored[..., _TIME_CHANNEL])
        else:
            seconds = torch.full_like(photons, NO_VALUE)
        return torch.where(dead, photons, npho), torch.where(dead, seconds, time)


class InpaintedRegressor(Exportable):
    """An inpainter and the regressor that reads what it restored.

    Args:
        inpainter: Restores dead sensors.
        regressor: Predicts from all of them.
    """

    kind = "inpainted_regressor"
    inputs = ("npho", "time", "dead")

    def __init__(self, inpainter: PhysicalInpainter, regressor: PhysicalRegressor) -> None:
        super().__init__()
        self.inpainter = inpainter
        self.regressor = regressor
        self.outputs = regressor.outputs

    def forward(self, npho: Tensor, time: Tensor, dead: Tensor) -> tuple[Tensor, ...]:
        """Return the predictions of the regressor, of readings of shape (B, 4760)."""
        return self.regressor(*self.inpainter(npho, time, dead))
