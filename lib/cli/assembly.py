"""Model, task and observers of each kind of training."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from lib.cli.schemas import InpainterConfig, MaeConfig, RegressorConfig, TrainingConfiguration
from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.evaluation.correction_fit import CorrectionFit
from lib.evaluation.resolution_observer import ResolutionObserver
from lib.evaluation.restoration.restoration_observer import RestorationObserver
from lib.evaluation.restoration.restoration_stream import RestorationStream
from lib.evaluation.restoration.restored_rows import RowsDescription
from lib.models.config import num_channels
from lib.models.encoder_model import EncoderModel
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor
from lib.tasks.constant_predictor import TruthMean, VisibleMean
from lib.tasks.regression import RegressionTask, tasks_to_balance
from lib.tasks.restoration import RestorationTask
from lib.tasks.targets import head_scales
from lib.training.protocol import Observer, Prepared, StepOutput
from lib.training.stability.health import ConstantPredictor, LearningHealth


class ScoringTask(Protocol):
    """A task that says which truth it needs."""

    @property
    def run_metrics(self) -> frozenset[str]:
        """Metrics that are logged under their bare name."""
        ...

    @property
    def truth_branches(self) -> list[str]:
        """Branches that must be read."""
        ...

    def prepare(self, batch: EventBatch, *, training: bool) -> Prepared[EventBatch]:
        """Draw what is random for a whole batch."""
        ...

    def score(self, model: nn.Module, prepared: Prepared[EventBatch]) -> StepOutput:
        """Run the model on a prepared batch or on some rows of it."""
        ...


@dataclass(frozen=True)
class Assembly:
    """The parts of a training that differ from kind to kind.

    Attributes:
        model: What is trained.
        task: Scores it.
        about: What checkpoints say beside normalization and revision; plain values.
        observers: Watch each validation.
        health: That one of them which looks whether anything is learnt.
        stream: That one of them which writes restored sensors.
        begin_epoch: Is told of each training epoch, counted from 0; freezes and thaws.
    """

    model: nn.Module
    task: ScoringTask
    about: dict[str, Any] = field(default_factory=dict)
    observers: Sequence[Observer[EventBatch]] = ()
    health: LearningHealth[EventBatch] | None = None
    stream: RestorationStream | None = None
    begin_epoch: Callable[[int], None] | None = None


def assemble(config: TrainingConfiguration, normalization: Normalization) -> Assembly:
    """Return the parts that a configuration describes, with fresh weights."""
    if isinstance(config, RegressorConfig):
        return _assemble_regressor(config, normalization)
    channels = num_channels(config.model.predict_channels)
    task = RestorationTask(config.model.mask_ratio, channels, normalization, config.training)
    model: EncoderModel
    if isinstance(config, MaeConfig):
        model = MaskedAutoencoder(config.model, normalization)
    else:
        model = Inpainter(config.model, normalization)
    health = _health(config, model, VisibleMean())
    stream = _restoration_stream(config, normalization) if config.checkpoint.save_predictions else None
    others = [one for one in (health, stream) if one is not None]
    observers = [RestorationObserver(task), *others]
    return Assembly(model, task, observers=observers, health=health, stream=stream, begin_epoch=model.begin_epoch)


def _restoration_stream(config: MaeConfig | InpainterConfig, normalization: Normalization) -> RestorationStream:
    last, interval = config.training.epochs, config.checkpoint.root_save_interval
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
    channels = num_channels(config.model.predict_channels)
    about = RowsDescription(normalization, channels, config.training.masking.kind, 0, digest)
    return RestorationStream(
        config.kind,
        about,
        config.training.prediction_methods,
        is_due=lambda epoch: epoch % interval == 0 or epoch == last,
    )


def _health(
    config: TrainingConfiguration, model: EncoderModel, constant: ConstantPredictor[EventBatch]
) -> LearningHealth[EventBatch] | None:
    """Return what looks at the encoder and the errors, if that is wanted."""
    if not config.training.health.enabled:
        return None

    def embed(batch: EventBatch) -> Tensor:
        moved = batch.to(next(model.parameters()).device)
        return model.encoder(moved.x, moved.valid)[moved.weight > 0]

    return LearningHealth(config.training.health, embed, constant)


def _assemble_regressor(config: RegressorConfig, normalization: Normalization) -> Assembly:
    training = config.training
    task = RegressionTask(config.tasks, normalization, training.channel_dropout_rate, reflect=training.reflect)
    model = Regressor(
        config.model,
        {target.name: target.head_width for target in task.targets},
        normalization,
        balanced_tasks=tasks_to_balance(config.tasks) if config.training.loss_balance == "auto" else [],
        scales=head_scales(task.targets),
    )
    observer = ResolutionObserver(task.targets)
    about = {"targets": {target.name: target.as_dict() for target in task.targets}}
    health = _health(config, model, TruthMean(task.targets))
    observers: list[Observer[EventBatch]] = [observer, *([health] if health else [])]
    if training.correct_outputs:
        observers.append(CorrectionFit(task.targets, model.correction))
    return Assembly(model, task, about, observers, health)
