"""The configuration of each training command, composed of the sections of their owners."""

from typing import Literal, TypeAlias

from pydantic import model_validator

from lib.config import Section
from lib.data.config import DataConfig, NormalizationConfig
from lib.export.config import ExportConfig
from lib.models.config import InpainterModelConfig, MaeModelConfig, RegressorModelConfig
from lib.tasks.config import RegressorTrainingConfig, TasksConfig
from lib.tasks.restoration_config import LIKELIHOODS, RestorationTrainingConfig
from lib.training.config import CheckpointConfig, MlflowConfig
from lib.training.ranks.distributed_config import DistributedConfig


class RunConfig(Section):
    """What every training is configured by."""

    kind: str
    """Which command the file is for."""
    data: DataConfig
    """Input files and loader."""
    normalization: NormalizationConfig = NormalizationConfig()
    """From photon counts and times to network inputs."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Files of the run."""
    mlflow: MlflowConfig = MlflowConfig()
    """Names of the run."""
    distributed: DistributedConfig = DistributedConfig()
    """Training as several processes."""


class MaeConfig(RunConfig):
    """``python -m lib.train_mae``."""

    kind: Literal["mae"] = "mae"
    """Which command the file is for."""
    model: MaeModelConfig = MaeModelConfig()
    """Encoder and decoders."""
    training: RestorationTrainingConfig = RestorationTrainingConfig()
    """Training loop and loss."""

    @model_validator(mode="after")
    def _says_no_errors(self) -> "MaeConfig":
        if self.training.loss_fn in LIKELIHOODS:
            raise ValueError(f"training.loss_fn {self.training.loss_fn} learns errors, which only inpainters predict")
        return self


class RegressorConfig(RunConfig):
    """``python -m lib.train_regressor``."""

    kind: Literal["regressor"] = "regressor"
    """Which command the file is for."""
    model: RegressorModelConfig = RegressorModelConfig()
    """Encoder and heads."""
    tasks: TasksConfig
    """Regression targets."""
    training: RegressorTrainingConfig = RegressorTrainingConfig()
    """Training loop."""
    export: ExportConfig = ExportConfig()
    """What is exported when the training ends."""

    @model_validator(mode="after")
    def _restores_nothing(self) -> "RegressorConfig":
        if self.checkpoint.save_predictions:
            raise ValueError(
                "checkpoint.save_predictions is for MAE and inpainter; a regressor's predictions are written with "
                "checkpoint.save_artifacts"
            )
        return self


class InpainterConfig(RunConfig):
    """``python -m lib.train_inpainter``."""

    kind: Literal["inpainter"] = "inpainter"
    """Which command the file is for."""
    model: InpainterModelConfig = InpainterModelConfig()
    """Encoder and head."""
    training: RestorationTrainingConfig = RestorationTrainingConfig()
    """Training loop and loss."""

    @model_validator(mode="after")
    def _errors_are_learnt(self) -> "InpainterConfig":
        if self.model.predict_error != (self.training.loss_fn in LIKELIHOODS):
            raise ValueError(
                f"model.predict_error: {self.model.predict_error} does not fit training.loss_fn "
                f"{self.training.loss_fn}; errors are learnt by gaussian_nll and laplace_nll, and by no other loss"
            )
        return self


TrainingConfiguration: TypeAlias = MaeConfig | RegressorConfig | InpainterConfig

SCHEMAS: dict[str, type[MaeConfig] | type[RegressorConfig] | type[InpainterConfig]] = {
    "mae": MaeConfig,
    "regressor": RegressorConfig,
    "inpainter": InpainterConfig,
}
