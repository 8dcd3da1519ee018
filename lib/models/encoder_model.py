"""What the regressor, the autoencoder and the inpainter have in common: the encoder."""

from typing import Self

from torch import nn

from lib.data.normalization import Normalization
from lib.models.config import EncoderConfig, ThawingConfig
from lib.models.encoder import Encoder


class EncoderModel(nn.Module):
    """A model around the encoder; its weights pass from one to another by the prefix ``encoder.``.

    Args:
        config: The encoder's settings.
        normalization: The transform that made the inputs.
        freeze: Keep the encoder as it is.
        thawing: How a frozen encoder joins the training after all; None for never.
    """

    def __init__(
        self,
        config: EncoderConfig,
        normalization: Normalization,
        *,
        freeze: bool = False,
        thawing: ThawingConfig | None = None,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(config, normalization)
        self._thawing = thawing if freeze else None
        self._frozen: list[nn.Module] = list(self.encoder.children()) if freeze else []
        # What joins later must be known to the optimizer from the start; ``begin_epoch`` freezes it until then.
        self.encoder.requires_grad_(not freeze or thawing is not None)

    def begin_epoch(self, epoch: int) -> None:
        """Let learn what is to learn in a training epoch, counted from 0."""
        if self._thawing is None:
            return
        stages = self.encoder.stages_from_heads()
        count = min(self._thawing.num_stages(epoch), len(stages))
        self._frozen = [module for stage in stages[count:] for module in stage]
        for place, stage in enumerate(stages):
            for module in stage:
                module.requires_grad_(place < count)
                if place >= count:
                    # A gradient of zeros would let the weights decay.
                    module.zero_grad(set_to_none=True)
        self.train(self.training)

    def layer_levels(self) -> dict[str, int]:
        """Return how far from the inputs each parameter lies, by its name: what makes the tokens at 0, then the layers
        of the fusion one by one, and at the top what is no part of the encoder.
        """
        stages = self.encoder.stages_from_heads()
        levels = {
            id(parameter): len(stages) - 1 - place
            for place, stage in enumerate(stages)
            for module in stage
            for parameter in module.parameters()
        }
        return {name: levels.get(id(parameter), len(stages)) for name, parameter in self.named_parameters()}

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation; what is frozen always evaluates, so that it does not fluctuate."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self
