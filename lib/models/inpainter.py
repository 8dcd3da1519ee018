"""The inpainter: restores dead sensors from their surroundings and from the whole event."""

import torch
from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.geometry.sensors import FACE_NAMES
from lib.models.attention_heads import AttentionHead
from lib.models.config import InpainterModelConfig, num_channels
from lib.models.encoder import WINDOW_SIDE
from lib.models.encoder_model import EncoderModel
from lib.models.inpainting_heads import OuterHead, RectangularHead, StaggeredHead
from lib.models.light_head import LightHead
from lib.models.neighbour_mean import NeighbourMean
from lib.models.sensor_inputs import SensorFeatures
from lib.models.sensor_order import in_sensor_order
from lib.nn.initialization import initialize, shrink_outputs

ALL_SENSORS = "sensors"
"""Name of the head that speaks for all faces."""

# A tenth of the normalized unit, from which predicted errors start.
USUAL_LOG_ERROR = -2.3


class Inpainter(EncoderModel):
    """Predicts what dead sensors would have measured.

    As a correction to the mean of their neighbours; with the head ``light_field``, to the light that the event's source
    sends to each sensor.

    Args:
        config: Its settings.
        normalization: The transform that made the inputs.
    """

    def __init__(self, config: InpainterModelConfig, normalization: Normalization) -> None:
        super().__init__(config, normalization, freeze=config.freeze_encoder, thawing=config.thawing)
        self.num_channels = num_channels(config.predict_channels)
        self.features = SensorFeatures(normalization)
        self.neighbour_mean = NeighbourMean()
        self.light = _build_light_head(config, len(self.encoder.token_faces), normalization)
        self.heads = nn.ModuleDict() if self.light is not None else _build_heads(config, len(self.encoder.token_faces))
        initialize(self)
        shrink_outputs(self.heads.values())
        if self.light is not None:
            shrink_outputs(self.light.output_layers)

    def forward(self, x: Tensor, valid: Tensor, dead: Tensor) -> Tensor:
        """Return predictions for every sensor, whether dead or not.

        Args:
            x: Normalized npho and time, shape (B, 4760, 2); what stands at dead sensors has no influence.
            valid: True where a value was measured, shape (B, 4760, 2).
            dead: True for the sensors to restore, shape (B, 4760).

        Returns:
            Normalized npho, and time if the configuration asks for it, shape (B, 4760, C); with predicted errors
            the logarithm of the error of each behind them, shape (B, 4760, 2 C).
        """
        usable = valid & ~dead[..., None]
        encoded = self.encoder.encode(x, usable)
        features = self.features(x, usable)
        guess = self.neighbour_mean(features)
        if self.light is not None:
            assert encoded.summary is not None
            said = self.light(features, guess, encoded.summary, encoded.tokens)
            values = said[..., : self.num_channels]
        else:
            said = self._ask_heads(torch.cat([features, guess], dim=-1), encoded.tokens)
            values = guess[..., : self.num_channels] + said[..., : self.num_channels]
        if said.shape[-1] == self.num_channels:
            return values
        return torch.cat([values, said[..., self.num_channels :] + USUAL_LOG_ERROR], dim=-1)

    def _ask_heads(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Return what the heads say of each sensor, for features (B, 4760, 6) and tokens (B, T, D)."""
        if ALL_SENSORS in self.heads:
            return self.heads[ALL_SENSORS](features, features[..., 2:3], tokens)
        return in_sensor_order({face: head(features, tokens.flatten(1)) for face, head in self.heads.items()})


def _num_outputs(config: InpainterModelConfig) -> int:
    return num_channels(config.predict_channels) * (2 if config.predict_error else 1)


def _build_light_head(config: InpainterModelConfig, num_tokens: int, normalization: Normalization) -> LightHead | None:
    """Return the head of the light field, None where another head is configured."""
    if config.head_type != "light_field":
        return None
    return LightHead(
        (num_tokens, config.encoder_dim),
        normalization,
        dim=config.hidden_dim,
        depth=config.head_depth,
        num_values=num_channels(config.predict_channels),
        num_outputs=_num_outputs(config),
        window_side=config.fovea_side or WINDOW_SIDE,
        num_points=config.light_points,
    )


def _build_heads(config: InpainterModelConfig, num_tokens: int) -> nn.ModuleDict:
    channels = _num_outputs(config)
    if config.head_type == "per_face":
        event_dim = num_tokens * config.encoder_dim
        return nn.ModuleDict({face: _face_head(face, event_dim, channels, config) for face in FACE_NAMES})
    head = AttentionHead(
        config.encoder_dim,
        num_tokens,
        dim=config.hidden_dim,
        depth=config.head_depth,
        num_neighbours=config.num_neighbours,
        num_channels=channels,
        asks_tokens=config.head_type == "cross_attention",
    )
    return nn.ModuleDict({ALL_SENSORS: head})


def _face_head(face: str, event_dim: int, channels: int, config: InpainterModelConfig) -> nn.Module:
    dim, depth = config.hidden_dim, config.head_depth
    if face == "outer":
        return OuterHead(event_dim, dim=dim, depth=depth, num_channels=channels)
    if face in {"top", "bottom"}:
        return StaggeredHead(face, event_dim, dim=dim, depth=depth, num_channels=channels)
    return RectangularHead(face, event_dim, dim=dim, depth=depth, num_channels=channels)
