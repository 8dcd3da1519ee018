"""The conventional reconstruction on the same events."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from torch import Tensor

from lib.baselines.conventional import ConventionalReconstruction
from lib.evaluation.evaluation import RegressionEvaluation
from lib.evaluation.raw_events import RawEvents
from lib.evaluation.resolution import ResolutionSummary

_NAMES: Final = {"angle": "angle", "energy": "energy", "timing": "time", "uvwFI": "uvw"}


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
        found = dict(reconstruction.reconstruct(seen.npho.numpy(), seen.time.numpy()))
        predicted = {task: np.asarray(found[_NAMES[task]]).reshape(len(seen.run), -1) for task in known}
        evaluation.add(predicted, {task: seen.true[task] for task in known})
    return [summary for task in evaluation.tasks.values() for summary in task.summaries()]
