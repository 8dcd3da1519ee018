"""The encoder of a masked autoencoder as it is exported: from sensor readings to tokens."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lib.data.normalization import Normalization
from lib.export.exportable import Exportable, FloatArray
from lib.export.metadata import OutputDescription
from lib.models.encoder import Encoder


@dataclass(frozen=True)
class TokenOutput:
    """The tokens of the faces.

    Attributes:
        faces: What each token describes, in order.
    """

    faces: tuple[str, ...]

    name = "tokens"

    def description(self) -> OutputDescription:
        """Return what the file says about it."""
        return OutputDescription(self.name, self.faces, "1", "", "token")

    def scaled(self, values: FloatArray) -> NDArray[np.float64]:
        """Return them as they are, shape (B, T * D): the encoder ends with a normalization to a spread of order one."""
        return values.reshape(len(values), -1).astype(np.float64)


class PhysicalEncoder(Exportable):
    """An encoder behind its normalization.

    Args:
        encoder: Sensors to tokens.
        normalization: Transform of its inputs.
    """

    kind = "encoder"

    def __init__(self, encoder: Encoder, normalization: Normalization) -> None:
        super().__init__()
        self.encoder = encoder
        self.normalization = normalization
        self.outputs = (TokenOutput(encoder.token_faces),)

    def forward(self, npho: Tensor, time: Tensor) -> tuple[Tensor, ...]:
        """Return the tokens, shape (B, T, D), of readings of shape (B, 4760); nothing is hidden."""
        return (self.encoder(*self.normalization.apply(npho, time)),)
