"""Everything there is to see of a regressor: predictions, resolutions, saliency, face weights, worst events."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from torch import Tensor

from lib.evaluation.drawing.figure_file import save_figure, save_figures
from lib.evaluation.drawing.figures import draw_task
from lib.evaluation.evaluation import RegressionEvaluation
from lib.evaluation.face_weights import draw_face_weights, face_weights, weights_path, write_face_weights
from lib.evaluation.prediction_table import EventColumns, prediction_tables, table_path
from lib.evaluation.predictors import Predictor, TorchPredictor, predicted_tasks
from lib.evaluation.raw_events import RawBatch, RawEvents
from lib.evaluation.saliency import draw_saliency, saliency
from lib.evaluation.worst_events import WorstEvents

logger = logging.getLogger(__name__)

# Saliency and face weights are means: some hundreds of events know them to a few per cent.
SAMPLED_EVENTS: Final = 512


@dataclass(frozen=True, eq=False)
class RunReport:
    """What was found.

    Attributes:
        evaluation: Residuals of all events.
        paths: Every file that was written.
    """

    evaluation: RegressionEvaluation
    paths: list[Path] = field(default_factory=list)


def write_report(
    predictor: Predictor, events: RawEvents, folder: Path, run_name: str, *, dead: Tensor | None = None
) -> RunReport:
    """Predict all events once and write tables and figures about them.

    Args:
        predictor: The model.
        events: Validation events.
        folder: Where files are written.
        run_name: End of their names.
        dead: Channels that are not read, shape (4760,); none by default.

    Raises:
        DataError: If events cannot be read.
        OSError: If a file cannot be written.
    """
    tasks = predicted_tasks(predictor)
    report = RunReport(RegressionEvaluation(tasks))
    worst, sample = WorstEvents(), list[RawBatch]()
    with prediction_tables(folder, run_name, tasks) as tables:
        for batch in _alive(events, dead):
            predicted = predictor.predict(batch.npho, batch.time)
            report.evaluation.add(predicted, batch.true)
            tables.write(EventColumns(batch.run, batch.event, predicted, batch.true))
            worst.add(batch, predicted)
            if sum(len(one.npho) for one in sample) < SAMPLED_EVENTS:
                sample.append(batch)
    report.paths.extend(table_path(folder, task, run_name) for task in tasks)
    report.paths.extend(write_resolutions(report.evaluation, folder, run_name))
    report.paths.extend(_write_face_weights(predictor, sample, folder, run_name))
    if isinstance(predictor, TorchPredictor):
        profile = folder / f"saliency_profile_{run_name}.pdf"
        save_figures(draw_saliency(run_name, saliency(predictor, sample)), profile)
        report.paths.append(profile)
    else:
        logger.info("an exported model has no gradients, so there is no saliency profile; give the checkpoint")
    report.paths.extend(worst.write(folder, run_name))
    return report


def write_resolutions(evaluation: RegressionEvaluation, folder: Path, run_name: str) -> list[Path]:
    """Write ``resolution_<task>_<run>.pdf`` for each task and return the paths."""
    paths = []
    for name, task in evaluation.tasks.items():
        path = folder / f"resolution_{name}_{run_name}.pdf"
        save_figures(draw_task(f"{name}, {run_name}", task), path)
        paths.append(path)
    return paths


def _write_face_weights(
    predictor: Predictor, sample: Sequence[RawBatch], folder: Path, run_name: str
) -> tuple[Path, Path]:
    """Write face weights as a figure and as a table, and return both paths."""
    figure, table = folder / f"face_weights_{run_name}.pdf", weights_path(folder, run_name)
    weights = face_weights(predictor, sample)
    save_figure(draw_face_weights(run_name, weights), figure)
    write_face_weights(table, weights)
    return figure, table


def _alive(events: RawEvents, dead: Tensor | None) -> Iterator[RawBatch]:
    for batch in events.batches():
        yield batch if dead is None else batch.without(dead)
