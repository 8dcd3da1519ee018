"""The inpainter: restores dead sensors from their surroundings and from the whole event."""

import torch
from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.geometry.sensors import FACE_NAMES
from lib.models.config import InpainterModelConfig, num_channels
from lib.models.encoder_model import EncoderModel
from lib.models.inpainting_heads import OuterHead, RectangularHead, StaggeredHead
from lib.models.neighbour_mean import NeighbourMean
from lib.models.sensor_inputs import SensorFeatures
from lib.models.sensor_order import in_sensor_order
from lib.nn.initialization import initialize, shrink_outputs


class Inpainter(EncoderModel):
    """Predicts what dead sensors would have measured, as a correction to the mean of their neighbours.

    Args:
        config: Its settings.
        normalization: The transform that made the inputs.
    """

    def __init__(self, config: InpainterModelConfig, normalization: Normalization) -> None:
        super().__init__(config, normalization, freeze=config.freeze_encoder)
        self.num_channels = num_channels(config.predict_channels)
        self.features = SensorFeatures(normalization)
        self.neighbour_mean = NeighbourMean()
        event_dim = len(self.encoder.token_faces) * config.encoder_dim
        self.heads = nn.ModuleDict({face: _head(face, event_dim, config) for face in FACE_NAMES})
        initialize(self)
        shrink_outputs(self.heads.values())

    def forward(self, x: Tensor, valid: Tensor, dead: Tensor) -> Tensor:
        """Return predictions for every sensor, whether dead or not.

        Args:
            x: Normalized npho and time, shape (B, 4760, 2); what stands at dead sensors has no influence.
            valid: True where a value was measured, shape (B, 4760, 2).
            dead: True for the sensors to restore, shape (B, 4760).

        Returns:
            Normalized npho, and time if the configuration asks for it, shape (B, 4760, C).
        """
        usable = valid & ~dead[..., None]
        event = self.encoder(x, usable).flatten(1)
        features = self.features(x, usable)
        guess = self.neighbour_mean(features)
        local = torch.cat([features, guess], dim=-1)
        correction = in_sensor_order({face: head(local, event) for face, head in self.heads.items()})
        return guess[..., : self.num_channels] + correction


def _head(face: str, event_dim: int, config: InpainterModelConfig) -> nn.Module:
    dim, depth, channels = config.hidden_dim, config.head_depth, num_channels(config.predict_channels)
    if face == "outer":
        return OuterHead(event_dim, dim=dim, depth=depth, num_channels=channels)
    if face in {"top", "bottom"}:
        return StaggeredHead(face, event_dim, dim=dim, depth=depth, num_channels=channels)
    return RectangularHead(face, event_dim, dim=dim, depth=depth, num_channels=channels)
