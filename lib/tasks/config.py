"""Settings of what is learnt."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lib.config import Section
from lib.training.config import TrainingConfig

LossName = Literal["smooth_l1", "huber", "l1", "mse"]
TASK_NAMES = ("angle", "energy", "timing", "uvwFI")


class TaskConfig(Section):
    """One regression target."""

    enabled: bool = True
    """Whether the model has a head for this target."""
    loss_fn: LossName = "smooth_l1"
    """Loss of the scaled residual."""
    loss_beta: float | None = Field(None, gt=0)
    """Residual, in the target's own unit (degrees, GeV, s, cm), at which smooth_l1 and huber turn from quadratic to
    linear; by default a tenth of the target's scale."""
    weight: float = Field(1.0, gt=0)
    """Weight of this target in the sum of losses."""
    log_transform: bool = False
    """Learn the logarithm; for energy alone, the other targets change sign."""


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

    @model_validator(mode="after")
    def _fits(self) -> "TasksConfig":
        tasks = self.enabled()
        if not tasks:
            raise ValueError(f"no target is enabled; enable at least one of {', '.join(TASK_NAMES)}")
        logarithms = [name for name, task in tasks.items() if task.log_transform and name != "energy"]
        if logarithms:
            raise ValueError(f"log_transform is for energy alone; {', '.join(logarithms)} can be negative")
        return self

    def enabled(self) -> dict[str, TaskConfig]:
        """Return the targets that are learnt, by name."""
        tasks = {"angle": self.angle, "energy": self.energy, "timing": self.timing, "uvwFI": self.uvwFI}
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


class RestorationTrainingConfig(TrainingConfig):
    """The training loop, and what restoring sensors adds."""

    moved_keys: ClassVar[dict[str, str]] = {"mask_ratio": "model.mask_ratio"}

    loss_fn: LossName = "smooth_l1"
    """Loss of the normalized residual at hidden sensors."""
    loss_beta: float = Field(0.1, gt=0)
    """Normalized residual at which smooth_l1 and huber turn from quadratic to linear."""
