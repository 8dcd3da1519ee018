"""Trained models out of checkpoints, ready for use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.config.document import Document
from lib.config.loading import validate
from lib.data.normalization import Normalization
from lib.errors import CheckpointError
from lib.models.config import InpainterModelConfig, MaeModelConfig, RegressorModelConfig
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor
from lib.tasks.config import TasksConfig
from lib.tasks.regression import tasks_to_balance
from lib.tasks.targets import Target, enabled_targets, head_scales
from lib.training.saving.checkpoint import Checkpoint, load_weights

Model = Regressor | MaskedAutoencoder | Inpainter


@dataclass(frozen=True)
class TrainedModel:
    """A model as its training left it.

    Attributes:
        model: In evaluation mode, on the CPU.
        targets: What its heads say; empty unless it is a regressor.
        normalization: The transform of its inputs.
        checkpoint: Where it comes from.
    """

    model: Model
    targets: Sequence[Target]
    normalization: Normalization
    checkpoint: Checkpoint


def load_trained(path: Path, *, averaged: bool = True) -> TrainedModel:
    """Rebuild the model of a checkpoint.

    Args:
        path: The checkpoint.
        averaged: Whether it gets the averaged weights, where there are some, or the last ones.

    Raises:
        CheckpointError: If the file is missing, damaged or of another version.
    """
    checkpoint = Checkpoint.load(path)
    normalization = Normalization.from_dict(checkpoint.about["normalization"])
    targets = enabled_targets(_tasks(checkpoint, path)) if checkpoint.kind == "regressor" else []
    model = _build(checkpoint, targets, normalization, path)
    load_weights(model, checkpoint.inference_weights if averaged else checkpoint.model, path)
    return TrainedModel(model.eval(), targets, normalization, checkpoint)


def _section(checkpoint: Checkpoint, name: str, path: Path) -> Document:
    return Document(f"{path}, {name} section", checkpoint.config[name], {})


def _tasks(checkpoint: Checkpoint, path: Path) -> TasksConfig:
    return validate(TasksConfig, _section(checkpoint, "tasks", path))


def _build(checkpoint: Checkpoint, targets: Sequence[Target], normalization: Normalization, path: Path) -> Model:
    settings = _section(checkpoint, "model", path)
    match checkpoint.kind:
        case "regressor":
            has_balance = any(name.startswith("balance.") for name in checkpoint.model)
            return Regressor(
                validate(RegressorModelConfig, settings),
                {target.name: target.head_width for target in targets},
                normalization,
                balanced_tasks=tasks_to_balance(_tasks(checkpoint, path)) if has_balance else [],
                scales=head_scales(targets),
            )
        case "mae":
            return MaskedAutoencoder(validate(MaeModelConfig, settings), normalization)
        case "inpainter":
            return Inpainter(validate(InpainterModelConfig, settings), normalization)
    raise CheckpointError(f"{path}: holds a {checkpoint.kind!r}; expected a regressor, mae or inpainter.")
