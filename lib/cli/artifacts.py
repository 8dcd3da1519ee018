"""What there is to see and to use of a run, written when a training ends."""

import logging
from dataclasses import replace

from lib.cli.run_defaults import default_settings
from lib.cli.schemas import RegressorConfig, TrainingConfiguration
from lib.data.batch import EventBatch
from lib.errors import ExportError, UserError
from lib.evaluation.predictors import TorchPredictor
from lib.evaluation.raw_events import RawEvents
from lib.evaluation.reference import fit_conventional, write_conventional
from lib.evaluation.run_report import write_report
from lib.export.model_export import export_model
from lib.report.run_folder import read_run
from lib.report.write import write_page
from lib.tasks.restore import load_trained
from lib.training.records.recorder import RunRecorder
from lib.training.saving.checkpoint import BEST_NAME
from lib.training.trainer import Trainer

logger = logging.getLogger(__name__)


def write_artifacts(
    config: TrainingConfiguration, trainer: Trainer[EventBatch], recorder: RunRecorder, run_name: str
) -> None:
    """Write figures, predictions and the exported model, as configured, and send them to MLflow.

    The training is over and its checkpoints are safe: an export that fails, or a disk that refuses, is logged and
    spoils nothing.
    """
    best = recorder.folder / BEST_NAME
    if not best.exists():
        logger.warning("no validation loss was finite, so there is no best epoch to show or to export")
        return
    try:
        if isinstance(config, RegressorConfig) and config.checkpoint.save_artifacts:
            _write_report(config, trainer, recorder, run_name)
        if isinstance(config, RegressorConfig) and config.export.onnx:
            _export(recorder, run_name, config.mlflow.model_name(config.kind))
    except OSError as error:
        logger.error("%s: not every file about the best epoch could be written (%s)", recorder.folder, error)


def write_run_page(recorder: RunRecorder, status: str) -> None:
    """Write ``report.html`` about everything that the run's folder holds, and send it to MLflow.

    A page that cannot be written is logged and spoils nothing.

    Args:
        recorder: Knows the folder; its checkpoints are written.
        status: How the run ends, which its folder does not say yet.
    """
    try:
        run = replace(read_run(recorder.folder), status=status)
        recorder.record_artifact(write_page(run, default_settings(run.kind)))
    except (OSError, UserError) as error:
        logger.error("%s: the page about the run could not be written (%s)", recorder.folder, error)


def _write_report(config: RegressorConfig, trainer: Trainer[EventBatch], recorder: RunRecorder, run_name: str) -> None:
    """Predict the validation events with the best model and write everything about them."""
    best = recorder.folder / BEST_NAME
    predictor = TorchPredictor(load_trained(best), best, next(trainer.model.parameters()).device)
    events = RawEvents(config.data, predictor.truth_branches)
    for path in write_report(predictor, events, recorder.folder, run_name).paths:
        recorder.record_artifact(path)
    if config.checkpoint.compare_conventional and (fitted := fit_conventional(config.data)):
        logger.info("reconstructing the validation events conventionally, for comparison")
        write_conventional(fitted, events, recorder.folder, run_name, list(predictor.truth_branches))


def _export(recorder: RunRecorder, run_name: str, model_name: str) -> None:
    path = recorder.folder / f"{run_name}.onnx"
    logger.info("exporting %s; this takes up to two minutes", path)
    try:
        report = export_model(load_trained(recorder.folder / BEST_NAME), path)
    except ExportError as error:
        logger.error("the best model was not exported: %s", error)
        return
    logger.info("exported %s, %.1f MB", path, report.size_bytes / 1e6)
    recorder.record_model(path, model_name)
