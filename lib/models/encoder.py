"""The encoder: sensors of the six faces to tokens, fused by a transformer."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.geometry.faces import rectangular_face, staggered_face
from lib.geometry.outer_grid import outer_grid
from lib.geometry.sensors import NUM_SENSORS, IndexArray
from lib.models.config import EncoderConfig
from lib.models.event_summary import EventSummary, Summarizer
from lib.models.face_networks import RectangularNetwork, StaggeredNetwork
from lib.models.fovea import FoveaNetwork
from lib.models.position import GeometricPosition, LearnedPosition
from lib.models.registers import Registers
from lib.models.sensor_inputs import OuterImage, RectangularImage, SensorFeatures, StaggeredSensors
from lib.nn.drop_path import drop_path_rates
from lib.nn.precise import in_float32, without_autocast
from lib.nn.transformer import TransformerLayer

SPLIT_FACES = ("outer_coarse", "outer_dense")
FOVEA, SUMMARY = "fovea", "summary"
WINDOW_SIDE = 17
"""Side of the window that the rough point is taken from where there is no fovea."""


class Encoded(NamedTuple):
    """An event as the encoder sees it.

    Attributes:
        tokens: Shape (B, T, D).
        summary: What was computed without weights; None without ``physics_skip``.
    """

    tokens: Tensor
    summary: EventSummary | None


class FaceEncoder(nn.Module):
    """One face from the features of all sensors to its tokens.

    Attributes:
        token_sensors: Ids of the sensors that each token describes, ascending.

    Args:
        name: ``inner``, ``outer``, ``us``, ``ds``, ``top``, ``bottom``, ``outer_coarse`` or ``outer_dense``.
        config: The encoder's settings.
        normalization: Transform of the photon counts, for the outer face's common grid.
    """

    def __init__(self, name: str, config: EncoderConfig, normalization: Normalization) -> None:
        super().__init__()
        self.gather: nn.Module
        self.network: RectangularNetwork | StaggeredNetwork
        if name in {"top", "bottom"}:
            self.gather = StaggeredSensors(name)
            self.network = StaggeredNetwork(config)
        else:
            image = OuterImage(config.outer_fine_pool, normalization) if name == "outer" else RectangularImage(name)
            is_inner = name == "inner"
            self.gather = image
            self.network = RectangularNetwork(
                image.shape,
                config,
                patch=config.inner_patch if is_inner else config.face_patch,
                num_areas=config.tokens_per_face if is_inner else 1,
            )
        tokens = self.network.tokens
        areas = area_sensors(name, tokens.num_areas) if tokens.num_areas > 1 else [token_sensors(name)]
        self.token_sensors = areas + [token_sensors(name)] * (tokens.num_tokens - tokens.num_areas)

    def forward(self, features: Tensor) -> Tensor:
        """Return the tokens, shape (B, K, D), from features of shape (B, 4760, 4)."""
        return self.network(self.gather(features))


class Encoder(nn.Module):
    """Sensors to tokens.

    Attributes:
        token_faces: What each token describes: a face or a part of it, a lattice of the outer face, the ``fovea``, or
            the ``summary``.
        num_features: Of the summary; 0 without ``physics_skip``.

    Args:
        config: Its settings.
        normalization: The transform that made the inputs.
    """

    def __init__(self, config: EncoderConfig, normalization: Normalization) -> None:
        super().__init__()
        outer = ("outer",) if config.outer_mode == "finegrid" else SPLIT_FACES
        names = ("inner", *outer, "us", "ds", "top", "bottom")
        extra = (*((FOVEA,) if config.fovea_side else ()), *((SUMMARY,) if config.physics_skip else ()))
        faces = {name: FaceEncoder(name, config, normalization) for name in names}
        self.token_faces = (*(name for name, face in faces.items() for _ in face.token_sensors), *extra)
        self.features = SensorFeatures(normalization)
        self.faces = nn.ModuleDict(faces)
        self.has_skip = config.physics_skip
        summarize = Summarizer(config.fovea_side or WINDOW_SIDE, normalization, fit=config.point_fit)
        self.summarize = summarize if extra else None
        self.num_features = summarize.num_features if config.physics_skip else 0
        self.fovea = _fovea(config) if config.fovea_side else None
        self.embed_summary = nn.Linear(self.num_features, config.encoder_dim) if config.physics_skip else None
        self.position: nn.Module
        if config.face_position == "learned":
            self.position = LearnedPosition(len(self.token_faces), config.encoder_dim)
        else:
            sensors = [ids for face in faces.values() for ids in face.token_sensors]
            sensors += [token_sensors(name) for name in extra]
            self.position = GeometricPosition(sensors, config.encoder_dim)
        self.registers = Registers(config.num_registers, config.encoder_dim) if config.num_registers else None
        rates = drop_path_rates(config.drop_path_rate, config.num_fusion_layers)
        self.fusion = nn.Sequential(
            *(TransformerLayer(config.encoder_dim, config.num_heads, config.dim_feedforward, rate) for rate in rates)
        )
        self.norm = nn.LayerNorm(config.encoder_dim)

    def stages_from_heads(self) -> list[list[nn.Module]]:
        """Return all parts with weights in the order in which they thaw: norm and last fusion layer, the layers before
        it one by one, then everything that makes the tokens.
        """
        layers = list(reversed(self.fusion))
        fused: list[list[nn.Module]] = [[self.norm, *layers[:1]], *([layer] for layer in layers[1:])]
        tokens = [part for part in self.children() if part is not self.fusion and part is not self.norm]
        return [*fused, tokens]

    def encode(self, x: Tensor, valid: Tensor) -> Encoded:
        """Return tokens and summary.

        Args:
            x: Normalized npho and time of each sensor, shape (B, 4760, 2); ignored where not valid.
            valid: True where a value was measured, shape (B, 4760, 2).
        """
        features = self.features(x, valid)
        tokens = [face(features) for face in self.faces.values()]
        summary = None
        if self.summarize is not None:
            # Sums over a face that were rounded to bfloat16 would be wrong by 0.4 %.
            with without_autocast(x.device.type):
                summary = self.summarize(x, valid)
        if self.fovea is not None:
            tokens.append(self.fovea(summary)[:, None])
        if self.embed_summary is not None:
            assert summary is not None
            tokens.append(in_float32(self.embed_summary, summary.features)[:, None])
        placed = self.position(torch.cat([token.float() for token in tokens], dim=1))
        if self.registers is not None:
            placed = self.registers(placed)
        # Registers stand behind the others and are left out here, so that no head depends on their number.
        fused = self.fusion(placed)[:, : len(self.token_faces)]
        return Encoded(self.norm(fused), summary if self.has_skip else None)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return the tokens of ``encode``, in the order of ``token_faces``, shape (B, T, D)."""
        return self.encode(x, valid).tokens


def _fovea(config: EncoderConfig) -> FoveaNetwork:
    return FoveaNetwork(
        config.fovea_side,
        patch=config.fovea_patch,
        dims=config.fovea_dims,
        depths=config.fovea_depths,
        num_dense=config.fovea_dense_layers,
        token_dim=config.encoder_dim,
        drop_path_rate=config.drop_path_rate,
        fit=config.point_fit,
    )


def token_sensors(name: str) -> IndexArray:
    """Return the ids of the sensors that a token describes, ascending."""
    if name == SUMMARY:
        return np.arange(NUM_SENSORS)
    if name == FOVEA:
        name = "inner"
    if name == "outer":
        return outer_grid().covered_ids
    if name in {"top", "bottom"}:
        return staggered_face(name).sensor_ids
    return np.sort(rectangular_face(name).sensor_ids, axis=None)


def area_sensors(name: str, num_areas: int) -> list[IndexArray]:
    """Return the ids of the sensors in each of the equal parts of a rectangular face, row by row, ascending."""
    ids = rectangular_face(name).sensor_ids
    side = math.isqrt(num_areas)
    rows, columns = (((np.arange(length) + 0.5) * side / length).astype(int) for length in ids.shape)
    part = rows[:, None] * side + columns
    return [np.sort(ids[part == number]) for number in range(num_areas)]
