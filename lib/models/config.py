"""Settings of the encoder and of the three models."""

from typing import Final, Literal, TypeAlias

from pydantic import Field, model_validator

from lib.config import Section
from lib.models.presets import PRESETS, PresetName

SMALLEST_FOVEA: Final = 5
"""A smaller window would not hold the spot whose width tells the depth."""

HeadType: TypeAlias = Literal["per_face", "masked_attention", "cross_attention", "light_field"]
PredictChannels: TypeAlias = Literal["npho", "npho+time"]


def num_channels(predict_channels: PredictChannels) -> int:
    """Return how many numbers per sensor a model predicts: npho alone, or npho and time."""
    return len(predict_channels.split("+"))


class EncoderConfig(Section):
    """The encoder of the six faces; must match between a pretrained encoder and the model that takes it over."""

    preset: PresetName = "base"
    """Size of the encoder: defaults for stages, widths, heads and fusion layers; base are those of this table. What is
    written beside it wins."""
    outer_mode: Literal["finegrid", "split"] = "finegrid"
    """Outer face as one common fine grid, or its coarse and dense lattices as two images."""
    outer_fine_pool: tuple[int, int] | None = (3, 3)
    """Cells of the fine grid, along z and phi, that are merged before the network; null keeps all 45 x 72."""
    stage_dims: tuple[int, ...] = (32, 64)
    """Channels of the stages of each face's network."""
    stage_depths: tuple[int, ...] = (2, 3)
    """Blocks of each stage; may be 0, where patches are averaged over a face as they are."""
    inner_patch: int = Field(1, ge=1, le=8)
    """Side, in sensors, of the patches into which the stem of the inner face divides it; 1 keeps every sensor."""
    face_patch: int = Field(1, ge=1, le=4)
    """The same for the images of the outer and the two side faces."""
    encoder_dim: int = Field(1024, ge=8)
    """Width of a face token."""
    tokens_per_face: Literal[1, 4, 16] = 1
    """Tokens of the inner face, each of a square part of it; the other faces, of far fewer sensors, have one."""
    multi_scale: bool = False
    """Whether the stages before the last give each face a token of their own."""
    num_heads: int = Field(8, ge=1)
    """Attention heads of the fusion."""
    dim_feedforward: int = Field(4096, ge=8)
    """Width of the fusion's feed-forward layers."""
    num_fusion_layers: int = Field(2, ge=0)
    """Transformer layers over the face tokens."""
    num_registers: int = Field(0, ge=0, le=64)
    """Learned tokens that take part in the fusion and are left out afterwards; room for what concerns no face."""
    face_position: Literal["learned", "geometric"] = "learned"
    """What tells the fusion which face a token comes from: an embedding, or the face's centre and normal."""
    masked_convolution: bool = False
    """Leave sensors without a measurement out of convolutions, response norms and averages of the faces, instead of
    showing their sentinels there. On a CPU the pointwise layers then run where something was measured alone."""
    fovea_side: int = Field(17, ge=0, le=43)
    """Side, in sensors, of the window around the brightest place of the inner face that becomes a token of its own, at
    full resolution; odd, or 0 for none."""
    fovea_patch: int = Field(1, ge=1, le=4)
    """Side, in sensors, of the patches into which the stem divides the window; 1 keeps every sensor."""
    fovea_dims: tuple[int, ...] = (32, 64)
    """Channels of the stages of the window's network."""
    fovea_depths: tuple[int, ...] = (1, 1)
    """Blocks of each stage of the window's network; may be 0."""
    fovea_dense_layers: int = Field(1, ge=0)
    """Layers over the whole window at once, after its stages."""
    physics_skip: bool = True
    """Whether sums of the faces, centroids, a rough point and the mean of all times become a token and, in a regressor,
    reach each head directly, which then learns corrections to them."""
    point_fit: bool = False
    """Fit a point source to the window around the brightest place. What its light leaves over of the measured one is a
    channel of the fovea, and with physics_skip positions and directions are learnt as corrections to the point."""
    drop_path_rate: float = Field(0.1, ge=0, lt=1)
    """Largest probability of leaving out a block, reached at the deepest one."""

    @model_validator(mode="after")
    def _takes_preset(self) -> "EncoderConfig":
        for name, value in PRESETS[self.preset].items():
            if name not in self.model_fields_set:
                # The resolved settings travel with the checkpoint, where each of them counts as written.
                object.__setattr__(self, name, value)
        return self

    @model_validator(mode="after")
    def _fusion_fits(self) -> "EncoderConfig":
        if self.num_registers and not self.num_fusion_layers:
            raise ValueError("num_registers needs num_fusion_layers of at least 1: registers live there alone")
        if self.encoder_dim % self.num_heads:
            raise ValueError(f"encoder_dim must be a multiple of num_heads ({self.num_heads})")
        return self

    @model_validator(mode="after")
    def _stages_fit(self) -> "EncoderConfig":
        if len(self.stage_dims) != len(self.stage_depths) or not self.stage_dims:
            raise ValueError("stage_dims and stage_depths must have the same length, at least 1")
        if min(self.stage_dims) < 1 or min(self.stage_depths) < 0:
            raise ValueError("every number of stage_dims must be at least 1, and of stage_depths at least 0")
        return self

    @model_validator(mode="after")
    def _fovea_fits(self) -> "EncoderConfig":
        if len(self.fovea_dims) != len(self.fovea_depths) or not self.fovea_dims:
            raise ValueError("fovea_dims and fovea_depths must have the same length, at least 1")
        if min(self.fovea_dims) < 1 or min(self.fovea_depths) < 0:
            raise ValueError("every number of fovea_dims must be at least 1, and of fovea_depths at least 0")
        if self.fovea_side and (self.fovea_side % 2 == 0 or self.fovea_side < SMALLEST_FOVEA):
            raise ValueError(f"fovea_side must be odd and at least {SMALLEST_FOVEA}, or 0 for no fovea")
        if self.point_fit and not self.fovea_side:
            raise ValueError("point_fit fits the light in the fovea's window; set fovea_side")
        return self

    @model_validator(mode="after")
    def _outer_fits(self) -> "EncoderConfig":
        if self.outer_mode == "split" and "outer_fine_pool" not in self.model_fields_set:
            # The resolved settings travel with the checkpoint and must pass here once more.
            object.__setattr__(self, "outer_fine_pool", None)
        if self.outer_fine_pool is None:
            return self
        if self.outer_mode == "split":
            raise ValueError("outer_fine_pool belongs to outer_mode finegrid; remove it or write null")
        if min(self.outer_fine_pool) < 1 or 45 % self.outer_fine_pool[0] or 72 % self.outer_fine_pool[1]:
            raise ValueError("outer_fine_pool must divide the 45 x 72 fine grid")
        return self


class RegressorModelConfig(EncoderConfig):
    """Encoder and regression heads."""

    hidden_dim: int = Field(256, ge=1)
    """Width of the hidden layer of each head."""
    freeze_encoder: bool = False
    """Train the heads alone."""


class MaeModelConfig(EncoderConfig):
    """Encoder and the decoders that restore hidden sensors."""

    mask_ratio: float = Field(0.6, gt=0, lt=1)
    """Share of each event's valid sensors that is hidden."""
    predict_channels: PredictChannels = "npho+time"
    """What is restored."""
    decoder_dim: int = Field(128, ge=1)
    """Width of the decoders."""


class ThawingConfig(Section):
    """How a frozen encoder joins the training, from the heads towards the sensors."""

    start_epoch: int = Field(1, ge=1)
    """Epochs after which norm and last layer of the fusion are trained."""
    interval: int = Field(1, ge=1)
    """Epochs from there to each layer of the fusion before, and in the end to the networks of the faces."""

    def num_stages(self, epoch: int) -> int:
        """Return how many stages are trained in an epoch, counted from 0; may be more than there are."""
        return 0 if epoch < self.start_epoch else 1 + (epoch - self.start_epoch) // self.interval


class InpainterModelConfig(EncoderConfig):
    """Encoder and the head that restores dead sensors."""

    mask_ratio: float = Field(0.05, gt=0, lt=1)
    """Share of each event's valid sensors that is treated as dead in training."""
    predict_channels: PredictChannels = "npho+time"
    """What is restored."""
    head_type: HeadType = "per_face"
    """per_face: local context on each face and the encoder's tokens. masked_attention: each sensor asks the measured
    ones among its nearest on all faces. cross_attention: the position of each sensor asks these and all tokens.
    light_field: what the event's source sends to each sensor, corrected by what was measured around it."""
    hidden_dim: int = Field(64, ge=1)
    """Width of the head; a multiple of 4 for those with attention."""
    head_depth: int = Field(2, ge=1)
    """Blocks of the head."""
    num_neighbours: int = Field(16, ge=1, le=128)
    """Sensors, the nearest in space, that each one asks in the heads with attention."""
    light_points: int = Field(1, ge=1, le=16)
    """Points from which the light comes in head_type light_field: the first near the brightest place, the others where
    a long shower or what flies out of it leaves energy."""
    predict_error: bool = False
    """Predict an error beside each value, with training.loss_fn gaussian_nll or laplace_nll."""
    freeze_encoder: bool = False
    """Train the head alone."""
    thawing: ThawingConfig | None = None
    """With freeze_encoder, when the encoder joins the training layer by layer; null for never."""

    @model_validator(mode="after")
    def _thaws_what_is_frozen(self) -> "InpainterModelConfig":
        if self.thawing is not None and not self.freeze_encoder:
            raise ValueError("thawing needs freeze_encoder: an encoder that learns from the start has nothing to thaw")
        return self

    @model_validator(mode="after")
    def _head_fits(self) -> "InpainterModelConfig":
        attends = self.head_type in {"masked_attention", "cross_attention"}
        if attends and self.hidden_dim % 4:
            raise ValueError(f"hidden_dim must be a multiple of 4 for head_type {self.head_type}")
        if not attends and self.num_neighbours != 16:
            raise ValueError(f"num_neighbours is not used by head_type {self.head_type}; remove it, or choose another")
        if self.head_type != "light_field" and self.light_points != 1:
            raise ValueError(
                f"light_points is not used by head_type {self.head_type}; remove it, or choose light_field"
            )
        if self.head_type == "light_field" and not self.physics_skip:
            raise ValueError("head_type light_field starts from the rough point of physics_skip; set it to true")
        return self
