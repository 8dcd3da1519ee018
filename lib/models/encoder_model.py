"""What the regressor, the autoencoder and the inpainter have in common: the encoder."""

from typing import Self

from torch import nn

from lib.data.normalization import Normalization
from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder


class EncoderModel(nn.Module):
    """A model around the encoder; its weights pass from one to another by the prefix ``encoder.``.

    Args:
        config: The encoder's settings.
        normalization: The transform that made the inputs.
        freeze: Keep the encoder as it is.
    """

    def __init__(self, config: EncoderConfig, normalization: Normalization, *, freeze: bool = False) -> None:
        super().__init__()
        self.encoder = Encoder(config, normalization)
        self.encoder_is_frozen = freeze
        self.encoder.requires_grad_(not freeze)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation; a frozen encoder always evaluates, so that its tokens do not fluctuate."""
        super().train(mode)
        if self.encoder_is_frozen:
            self.encoder.eval()
        return self
