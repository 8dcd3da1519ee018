"""The masked autoencoder: restores hidden sensors from the tokens of the visible ones."""

import torch
from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.geometry.sensors import FACE_NAMES, INNER_SHAPE, SIDE_SHAPE
from lib.models.config import MaeModelConfig, num_channels
from lib.models.decoders import OuterDecoder, RectangularDecoder, StaggeredDecoder
from lib.models.encoder import FOVEA
from lib.models.encoder_model import EncoderModel
from lib.models.sensor_order import in_sensor_order
from lib.nn.initialization import initialize

INNER_PATCH = 4
SIDE_PATCH = 2


class MaskedAutoencoder(EncoderModel):
    """Predicts what hidden sensors measured.

    Source: He et al., "Masked autoencoders are scalable vision learners", arXiv:2111.06377; the asymmetry between a
        strong encoder and light decoders is theirs.

    Args:
        config: Its settings.
        normalization: The transform that made the inputs.
    """

    def __init__(self, config: MaeModelConfig, normalization: Normalization) -> None:
        super().__init__(config, normalization)
        self.num_channels = num_channels(config.predict_channels)
        faces = self.encoder.token_faces
        self.token_places = {face: _token_places(face, faces) for face in FACE_NAMES}
        self.decoders = nn.ModuleDict(
            {face: _decoder(face, len(self.token_places[face]), config) for face in FACE_NAMES},
        )
        initialize(self)

    def forward(self, x: Tensor, valid: Tensor, hidden: Tensor) -> Tensor:
        """Return predictions for every sensor, whether hidden or not.

        Args:
            x: Normalized npho and time, shape (B, 4760, 2); what stands at hidden sensors has no influence.
            valid: True where a value was measured, shape (B, 4760, 2).
            hidden: True for the sensors to restore, shape (B, 4760).

        Returns:
            Normalized npho, and time if the configuration asks for it, shape (B, 4760, C), float32.
        """
        tokens = self.encoder(x, valid & ~hidden[..., None])
        faces = {
            face: decoder(torch.cat([tokens[:, place] for place in self.token_places[face]], dim=1))
            for face, decoder in self.decoders.items()
        }
        return in_sensor_order(faces).float()


def _token_places(face: str, token_faces: tuple[str, ...]) -> list[int]:
    """Return where the tokens that tell of a face lie: its own, both lattices of the outer face, the fovea's."""
    telling = {face, FOVEA} if face == "inner" else {face}
    return [place for place, name in enumerate(token_faces) if name.split("_")[0] in telling]


def _decoder(face: str, num_tokens: int, config: MaeModelConfig) -> nn.Module:
    token_dim = num_tokens * config.encoder_dim
    dim, channels = config.decoder_dim, num_channels(config.predict_channels)
    if face == "outer":
        return OuterDecoder(token_dim=token_dim, dim=dim, num_channels=channels)
    if face in {"top", "bottom"}:
        return StaggeredDecoder(token_dim=token_dim, dim=dim, num_channels=channels)
    shape, patch = (INNER_SHAPE, INNER_PATCH) if face == "inner" else (SIDE_SHAPE, SIDE_PATCH)
    return RectangularDecoder(shape, patch, token_dim=token_dim, dim=dim, num_channels=channels)
