"""Settings of what is learnt."""

from typing import ClassVar, Final, Literal, TypeAlias

from pydantic import Field, model_validator

from lib.config import Section
from lib.training.config import TrainingConfig

LossName: TypeAlias = Literal["smooth_l1", "huber", "l1", "mse"]
RelativeLoss: TypeAlias = Literal["relative_l1", "relative_smooth_l1", "relative_mse"]
LikelihoodLoss: TypeAlias = Literal["gaussian_nll", "laplace_nll"]
DirectionLoss: TypeAlias = Literal["cosine", "opening_angle"]
RegressionLoss: TypeAlias = Literal[
    LossName, RelativeLoss, LikelihoodLoss, "student_nll", DirectionLoss, "cross_entropy"
]
ErrorModel: TypeAlias = Literal["gaussian", "laplace", "student"]

TASK_NAMES: Final = ("angle", "energy", "timing", "uvwFI", "angleVec", "n_gamma")

_RESIDUAL: Final = frozenset({"smooth_l1", "huber", "l1", "mse", "gaussian_nll", "laplace_nll", "student_nll"})
_RELATIVE: Final = frozenset({"relative_l1", "relative_smooth_l1", "relative_mse"})
_DIRECTION: Final = frozenset({"cosine", "opening_angle"})
LOSSES_OF_TASK: Final[dict[str, frozenset[str]]] = {
    "angle": _RESIDUAL | _DIRECTION,
    "energy": _RESIDUAL | _RELATIVE,
    "timing": _RESIDUAL,
    "uvwFI": _RESIDUAL,
    "angleVec": _RESIDUAL | _DIRECTION,
    "n_gamma": frozenset({"cross_entropy"}),
}
LOSSES_WITH_BETA: Final = frozenset({"smooth_l1", "huber", "relative_smooth_l1", "gaussian_nll"})


def error_model(loss_fn: RegressionLoss) -> ErrorModel | None:
    """Return the likelihood of a loss that learns errors beside values, None for the others."""
    match loss_fn:
        case "gaussian_nll":
            return "gaussian"
        case "laplace_nll":
            return "laplace"
        case "student_nll":
            return "student"
    return None


class TaskConfig(Section):
    """One regression target."""

    enabled: bool = True
    """Whether the model has a head for this target."""
    loss_fn: RegressionLoss = "smooth_l1"
    """Loss of the scaled residual; gaussian_nll, laplace_nll and student_nll learn an error beside each value."""
    loss_beta: float | None = Field(None, ge=0)
    """Residual, in the target's own unit (degrees, GeV, s, cm), at which smooth_l1 and huber turn from quadratic to
    linear, by default a tenth of the target's scale; for relative_smooth_l1 the relative residual, by default a tenth
    of scale over centre; for gaussian_nll the power of the variance that weighs each event, 0 to 1, by default 0.5."""
    weight: float = Field(1.0, gt=0)
    """Weight of this target in the sum of losses."""
    log_transform: bool = False
    """Learn the logarithm; for energy alone, the other targets change sign."""

    @model_validator(mode="after")
    def _beta_is_used(self) -> "TaskConfig":
        if self.loss_beta is None:
            return self
        if self.loss_fn not in LOSSES_WITH_BETA:
            used = ", ".join(sorted(LOSSES_WITH_BETA))
            raise ValueError(f"loss_beta is not used by {self.loss_fn}; remove it, or choose one of {used}")
        if self.loss_fn == "gaussian_nll" and self.loss_beta > 1:
            raise ValueError("loss_beta of gaussian_nll is a power from 0 (plain likelihood) to 1")
        if self.loss_fn != "gaussian_nll" and self.loss_beta == 0:
            raise ValueError(f"loss_beta of {self.loss_fn} must be above 0; without a quadratic part it is l1")
        return self


class DirectionTaskConfig(TaskConfig):
    """A unit vector."""

    loss_fn: RegressionLoss = "cosine"
    """Like that of the other targets; cosine and opening_angle look at the direction alone."""


class ClassTaskConfig(TaskConfig):
    """A whole number."""

    loss_fn: RegressionLoss = "cross_entropy"
    """cross_entropy, the only loss of classes."""


class TasksConfig(Section):
    """The regression targets; those that are not named are not learnt."""

    angle: TaskConfig | None = None
    """Emission angles theta and phi in degrees."""
    energy: TaskConfig | None = None
    """Energy of the photon in GeV."""
    timing: TaskConfig | None = None
    """Time of the first interaction in s."""
    uvwFI: TaskConfig | None = None  # noqa: N815 - the name that the analysis uses
    """Point of the first interaction, u, v and w in cm."""
    angleVec: DirectionTaskConfig | None = None  # noqa: N815 - the name that the analysis uses
    """Emission direction as a unit vector."""
    n_gamma: ClassTaskConfig | None = None
    """Number of photons, 0 to 4; 4 stands for more, too."""

    @model_validator(mode="after")
    def _fits(self) -> "TasksConfig":
        tasks = self.enabled()
        if not tasks:
            raise ValueError(f"no target is enabled; enable at least one of {', '.join(TASK_NAMES)}")
        logarithms = [name for name, task in tasks.items() if task.log_transform and name != "energy"]
        if logarithms:
            raise ValueError(f"log_transform is for energy alone; {', '.join(logarithms)} can be negative")
        for name, task in tasks.items():
            if task.loss_fn not in LOSSES_OF_TASK[name]:
                fitting = ", ".join(sorted(LOSSES_OF_TASK[name]))
                raise ValueError(f"{name}: loss_fn {task.loss_fn} does not fit this target; expected one of {fitting}")
            if task.log_transform and task.loss_fn in _RELATIVE:
                raise ValueError(f"{name}: log_transform makes residuals relative already; remove it or {task.loss_fn}")
        return self

    def enabled(self) -> dict[str, TaskConfig]:
        """Return the targets that are learnt, by name."""
        tasks: dict[str, TaskConfig | None] = {
            "angle": self.angle,
            "energy": self.energy,
            "timing": self.timing,
            "uvwFI": self.uvwFI,
            "angleVec": self.angleVec,
            "n_gamma": self.n_gamma,
        }
        return {name: task for name, task in tasks.items() if task is not None and task.enabled}


class RegressorTrainingConfig(TrainingConfig):
    """The training loop, and what only regression knows."""

    moved_keys: ClassVar[dict[str, str]] = {
        "loss_fn": "tasks.<name>.loss_fn",
        "loss_beta": "tasks.<name>.loss_beta",
        "mask_ratio": "model.mask_ratio in the configuration of an MAE or inpainter",
    }

    channel_dropout_rate: float = Field(0.0, ge=0, lt=1)
    """Probability that a sensor is taken out of a training event, as if it were dead."""
    reflect: bool = False
    """Mirror random training events along z, along phi, or both; the detector is symmetric, a surveyed one nearly."""
    loss_balance: Literal["manual", "auto"] = "manual"
    """How the losses of several targets are added: by their weights, or by weights that are learnt beside them."""
    correct_outputs: bool = True
    """After each validation of at least 400 events, find what centres the core of the residuals and makes predicted
    errors hold 68.27 % of them, as functions of the energy. Checkpoints and exported models carry it; losses and val/
    metrics are without."""
