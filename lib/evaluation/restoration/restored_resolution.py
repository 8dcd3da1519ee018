"""What dead channels cost a regressor, and how much of it a restoration gives back."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from lib.evaluation.comparison import summarize_tasks
from lib.evaluation.raw_events import RawEvents
from lib.evaluation.restoration.restorer import Restorer
from lib.evaluation.statistics.resolution import ResolutionSummary
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import FloatArray

WHOLE: Final = "whole"
NOT_RESTORED: Final = "not_restored"
TASKS: Final = ("energy", "timing", "uvwFI")
"""What sensors tell of; the emission angle follows from the position."""


class ReadingsPredictor(Protocol):
    """Predicts from readings."""

    def predict(self, npho: Tensor, time: Tensor) -> Mapping[str, FloatArray]:
        """Return predictions by task, shape (B, width), for readings of shape (B, 4760)."""
        ...


def resolutions_with_dead(
    predictor: ReadingsPredictor, events: RawEvents, dead: BoolArray, restorers: Sequence[Restorer]
) -> dict[str, list[ResolutionSummary]]:
    """Return the resolutions of the same events with all channels, without some, and with these restored.

    Args:
        predictor: A regressor.
        events: With the truth of what it predicts.
        dead: Channels that are taken away, shape (4760,).
        restorers: Methods and models.

    Returns:
        By ``whole``, ``not_restored`` and the name of each restorer.
    """
    names = [WHOLE, NOT_RESTORED, *(one.name for one in restorers)]
    predicted: dict[str, dict[str, list[FloatArray]]] = {name: {} for name in names}
    true: dict[str, list[FloatArray]] = {}
    for batch in events.batches():
        gone = batch.without(torch.tensor(dead))
        readings = [(batch.npho, batch.time), (gone.npho, gone.time)]
        for restorer in restorers:
            restored = restorer.restore(batch.npho.numpy(), batch.time.numpy(), dead)
            readings.append((_tensor(restored.npho), _tensor(restored.time)))
        for name, (npho, time) in zip(names, readings, strict=True):
            for task, values in predictor.predict(npho, time).items():
                if task in TASKS:
                    predicted[name].setdefault(task, []).append(np.asarray(values))
        for task, values in batch.true.items():
            true.setdefault(task, []).append(values)
    joined = {task: np.concatenate(parts) for task, parts in true.items()}
    return {
        name: summarize_tasks({task: np.concatenate(parts) for task, parts in by_task.items()}, joined)
        for name, by_task in predicted.items()
    }


def _tensor(values: FloatArray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
