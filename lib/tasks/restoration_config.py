"""Settings of restoring sensors: what is hidden, and how restored values are scored."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import Field, model_validator

from lib.config import Section
from lib.tasks.config import LOSSES_WITH_BETA, LikelihoodLoss, LossName
from lib.tasks.masking_config import MaskingConfig
from lib.training.config import TrainingConfig

SensorLoss: TypeAlias = Literal[LossName, "poisson", LikelihoodLoss]
MethodName: TypeAlias = Literal["neighbours", "solid_angle", "light_fit"]
LIKELIHOODS = frozenset({"gaussian_nll", "laplace_nll"})


class TimeChannelConfig(Section):
    """What is different for the times of sensors."""

    mask_ratio_scale: float = Field(1.0, gt=0)
    """How many times as likely as another a sensor with a time is hidden; how many are hidden stays the same."""
    weight: float = Field(1.0, gt=0)
    """Weight of the times in the sum of losses."""
    use_npho_weight: bool = False
    """Weigh the loss of each time with the root of the sensor's photons, with which its error falls."""
    npho_threshold: float | None = Field(None, ge=0)
    """Photons from which a hidden sensor's time is scored; null scores every valid time."""


class NphoLossWeightConfig(Section):
    """More weight for the losses of bright sensors."""

    enabled: bool = False
    """Whether bright sensors weigh more."""
    alpha: float = Field(0.5, gt=0, le=2)
    """The weight of a photon count's loss is (photons + 1) to this power."""
    by: Literal["measured", "restored"] = "measured"
    """Whose photons. Weights that follow the measured ones raise what is restored above the mean, for of two values
    that look alike to the model the larger counts more; weights that follow what the model says do not. Validations
    weigh by the measured ones."""


class IntensityReweightingConfig(Section):
    """The same weight for faint and bright events of a training batch."""

    enabled: bool = False
    """Whether events are weighed by how rare their brightness is in the batch."""
    nbins: int = Field(5, ge=2, le=100)
    """Bins of equal width between the sums of the logarithms of the faintest and of the brightest event; the events of
    each bin that has any weigh the same together."""


class RestorationTrainingConfig(TrainingConfig):
    """The training loop, and what restoring sensors adds."""

    moved_keys: ClassVar[dict[str, str]] = {"mask_ratio": "model.mask_ratio"}

    loss_fn: SensorLoss = "smooth_l1"
    """Loss of the normalized residual at hidden sensors. poisson: the Poisson deviance of the photons, smooth_l1 for
    times. gaussian_nll and laplace_nll learn an error beside each value and need model.predict_error."""
    loss_beta: float | None = Field(None, gt=0)
    """Normalized residual at which smooth_l1 and huber turn from quadratic to linear, by default 0.1; for gaussian_nll
    the power of the variance that weighs each sensor, at most 1, by default 0.5."""
    poisson_noise: float = Field(40.0, ge=0)
    """Photons that stand for the electronic noise in loss_fn poisson: the variance of a photon count is taken to go
    with npho + poisson_noise. The default is that of an MPPC: noise squared over the variance per photon."""
    poisson_spread: float = Field(0.0, ge=0, le=1)
    """Relative error in loss_fn poisson that the light is known with at best: the variance of a photon count then grows
    with (poisson_spread x npho)^2, too, and sensors next to the shower, of which nothing else tells, rule less."""
    npho_target: Literal["measured", "expected"] = "measured"
    """What photon counts of hidden sensors are compared with. expected: the light before photon statistics and noise,
    branch nphoExpected of simulated files, whose own fluctuations then disturb no gradient."""
    npho_weight: float = Field(1.0, gt=0)
    """Weight of the photon counts in the sum of losses."""
    auto_channel_weight: bool = False
    """Divide the loss of each channel by that of a constant, the mean of the batch, before the weights: photons and
    times then count by how much better than nothing they are restored."""
    npho_loss_weight: NphoLossWeightConfig = NphoLossWeightConfig()
    """Weights of sensors by their photons."""
    intensity_reweighting: IntensityReweightingConfig = IntensityReweightingConfig()
    """Weights of training events by their brightness."""
    prediction_methods: tuple[MethodName, ...] = ("neighbours",)
    """Conventional methods that stand beside the predictions in the files of checkpoint.save_predictions."""
    masking: MaskingConfig = MaskingConfig()
    """Which sensors are hidden."""
    time: TimeChannelConfig = TimeChannelConfig()
    """The times of sensors."""

    @model_validator(mode="after")
    def _beta_is_used(self) -> "RestorationTrainingConfig":
        if self.loss_beta is not None and self.loss_fn not in LOSSES_WITH_BETA:
            raise ValueError(f"loss_beta is not used by {self.loss_fn}; remove it, or choose smooth_l1 or huber")
        if self.loss_fn == "gaussian_nll" and self.loss_beta is not None and self.loss_beta > 1:
            raise ValueError("loss_beta of gaussian_nll is a power of at most 1")
        return self

    @model_validator(mode="after")
    def _scale_is_used(self) -> "RestorationTrainingConfig":
        if self.time.mask_ratio_scale != 1 and self.masking.kind != "random":
            raise ValueError(f"time.mask_ratio_scale is not used by masking.kind {self.masking.kind}, only by random")
        return self

    @model_validator(mode="after")
    def _channels_compare(self) -> "RestorationTrainingConfig":
        if self.auto_channel_weight and self.loss_fn in LIKELIHOODS:
            raise ValueError(f"auto_channel_weight does not fit {self.loss_fn}, which knows the size of its residuals")
        return self
