"""The encoder: sensors of the six faces to one token per face, fused by a transformer."""

import numpy as np
import torch
from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.geometry.faces import rectangular_face, staggered_face
from lib.geometry.outer_grid import outer_grid
from lib.geometry.sensors import IndexArray
from lib.models.config import EncoderConfig
from lib.models.face_networks import RectangularNetwork, StaggeredNetwork
from lib.models.position import GeometricPosition, LearnedPosition
from lib.models.sensor_inputs import OuterImage, RectangularImage, SensorFeatures, StaggeredSensors
from lib.nn.drop_path import drop_path_rates
from lib.nn.transformer import TransformerLayer

SPLIT_FACES = ("outer_coarse", "outer_dense")


class FaceEncoder(nn.Module):
    """One face from the features of all sensors to its token.

    Args:
        name: ``inner``, ``outer``, ``us``, ``ds``, ``top``, ``bottom``, ``outer_coarse`` or ``outer_dense``.
        config: The encoder's settings.
        normalization: Transform of the photon counts, for the outer face's common grid.
    """

    def __init__(self, name: str, config: EncoderConfig, normalization: Normalization) -> None:
        super().__init__()
        self.gather: nn.Module
        self.network: nn.Module
        if name in {"top", "bottom"}:
            self.gather = StaggeredSensors(name)
            self.network = StaggeredNetwork(config)
            return
        image = OuterImage(config.outer_fine_pool, normalization) if name == "outer" else RectangularImage(name)
        self.gather = image
        self.network = RectangularNetwork(image.shape, config, config.inner_patch if name == "inner" else 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the token, shape (B, D), from features of shape (B, 4760, 4)."""
        return self.network(self.gather(features))


class Encoder(nn.Module):
    """Sensors to tokens.

    Attributes:
        token_faces: Name of the face, or of the lattice of the outer face, that each token describes.

    Args:
        config: Its settings.
        normalization: The transform that made the inputs.
    """

    def __init__(self, config: EncoderConfig, normalization: Normalization) -> None:
        super().__init__()
        outer = ("outer",) if config.outer_mode == "finegrid" else SPLIT_FACES
        self.token_faces = ("inner", *outer, "us", "ds", "top", "bottom")
        self.features = SensorFeatures(normalization)
        self.faces = nn.ModuleDict({name: FaceEncoder(name, config, normalization) for name in self.token_faces})
        self.position: nn.Module
        if config.face_position == "learned":
            self.position = LearnedPosition(len(self.token_faces), config.encoder_dim)
        else:
            self.position = GeometricPosition([token_sensors(name) for name in self.token_faces], config.encoder_dim)
        rates = drop_path_rates(config.drop_path_rate, config.num_fusion_layers)
        self.fusion = nn.Sequential(
            *(TransformerLayer(config.encoder_dim, config.num_heads, config.dim_feedforward, rate) for rate in rates)
        )
        self.norm = nn.LayerNorm(config.encoder_dim)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return the tokens of the faces.

        Args:
            x: Normalized npho and time of each sensor, shape (B, 4760, 2); ignored where not valid.
            valid: True where a value was measured, shape (B, 4760, 2).

        Returns:
            Tokens in the order of ``token_faces``, shape (B, T, D).
        """
        features = self.features(x, valid)
        tokens = torch.stack([self.faces[name](features) for name in self.token_faces], dim=1)
        return self.norm(self.fusion(self.position(tokens)))


def token_sensors(name: str) -> IndexArray:
    """Return the ids of the sensors that a token describes, ascending."""
    if name == "outer":
        return outer_grid().covered_ids
    if name in {"top", "bottom"}:
        return staggered_face(name).sensor_ids
    return np.sort(rectangular_face(name).sensor_ids, axis=None)
