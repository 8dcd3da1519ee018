"""The conventional reconstruction on the same events."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from torch import Tensor

from lib.baselines.conventional import ConventionalReconstruction
from lib.data.branches import ENERGY, INVALID_ABOVE, TIME_TRUTH, UVW
from lib.data.config import DataConfig
from lib.errors import DataError
from lib.evaluation.evaluation import RegressionEvaluation
from lib.evaluation.prediction_table import EventColumns, prediction_tables, table_path
from lib.evaluation.raw_events import RawBatch, RawEvents, open_as_measured
from lib.evaluation.statistics.resolution import ResolutionSummary
from lib.geometry.sensors import FloatArray

logger = logging.getLogger(__name__)

_NAMES: Final = {"angle": "angle", "energy": "energy", "timing": "time", "uvwFI": "uvw"}
FOLDER_NAME: Final = "conventional"
# Its polynomials have some dozens of coefficients; more events than these no longer change them.
FITTED_EVENTS: Final = 4000
_TRUTH: Final = (ENERGY, TIME_TRUTH, UVW)


def conventional_summaries(
    path: Path, events: RawEvents, tasks: Sequence[str], *, dead: Tensor | None = None
) -> list[ResolutionSummary]:
    """Return the resolutions of a fitted conventional reconstruction.

    Args:
        path: File that ``macro/reconstruct_conventional.py --save`` wrote.
        events: The events.
        tasks: Tasks to compare; those that it cannot do are left out.
        dead: Channels that are not read, shape (4760,).
    """
    reconstruction = ConventionalReconstruction.load(path)
    known = [task for task in tasks if task in _NAMES]
    evaluation = RegressionEvaluation(known, with_profiles=False)
    for batch in events.batches():
        seen = batch if dead is None else batch.without(dead)
        evaluation.add(_predictions(reconstruction, seen, known), {task: seen.true[task] for task in known})
    return [summary for task in evaluation.tasks.values() for summary in task.summaries()]


def fit_conventional(config: DataConfig) -> ConventionalReconstruction | None:
    """Fit the conventional reconstruction to training events.

    Args:
        config: Says where they are.

    Returns:
        The reconstruction; None, with a line in the log, where the events are too few or lack truth.
    """
    try:
        npho, time, *truth = _training_sample(config)
        return ConventionalReconstruction.fit(npho, time, dict(zip(_TRUTH, truth, strict=True)))
    except DataError as error:
        logger.info("no comparison with the conventional reconstruction: %s", error)
        return None


def _training_sample(config: DataConfig) -> list[FloatArray]:
    """Return photons, seconds and truth of some training events whose truth is known."""
    parts: list[list[FloatArray]] = []
    for batch in open_as_measured(config, _TRUTH, "train").epoch(0):
        truth = [batch.truth[name] for name in _TRUTH]
        known = batch.weight > 0
        for values in truth:
            known &= (values.isfinite() & (values.abs() < INVALID_ABOVE)).all(dim=1)
        parts.append([one[known].numpy() for one in (*batch.x.unbind(dim=-1), *truth)])
        if sum(len(part[0]) for part in parts) >= FITTED_EVENTS:
            break
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def write_conventional(
    reconstruction: ConventionalReconstruction, events: RawEvents, folder: Path, run_name: str, tasks: Sequence[str]
) -> list[Path]:
    """Reconstruct events and write tables like those of a regressor into the folder ``conventional`` of a run.

    Args:
        reconstruction: Fitted.
        events: The events.
        folder: Folder of the run.
        run_name: End of the names.
        tasks: What the regressor predicts; what the reconstruction cannot do is left out.

    Returns:
        The tables; none if it can do nothing of this.

    Raises:
        OSError: If a table cannot be written.
    """
    known, place = [task for task in tasks if task in _NAMES], folder / FOLDER_NAME
    if not known:
        return []
    place.mkdir(exist_ok=True)
    with prediction_tables(place, run_name, known) as tables:
        for batch in events.batches():
            predicted = _predictions(reconstruction, batch, known)
            tables.write(EventColumns(batch.run, batch.event, predicted, {task: batch.true[task] for task in known}))
    return [table_path(place, task, run_name) for task in known]


def _predictions(
    reconstruction: ConventionalReconstruction, batch: RawBatch, tasks: Sequence[str]
) -> dict[str, FloatArray]:
    found = dict(reconstruction.reconstruct(batch.npho.numpy(), batch.time.numpy()))
    return {task: np.asarray(found[_NAMES[task]]).reshape(len(batch.run), -1) for task in tasks}
