"""What dead channels cost a regressor, and how much of it a restoration gives back."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from lib.evaluation.comparison import summarize_tasks
from lib.evaluation.raw_events import RawBatch, RawEvents
from lib.evaluation.restoration.restorer import Restorer
from lib.evaluation.statistics.resolution import ResolutionSummary
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import FloatArray

WHOLE: Final = "whole"
NOT_RESTORED: Final = "not_restored"
EXPECTED: Final = "expected"
LIGHT: Final = "light"
"""Truth that holds the expected light of each sensor, where it is known."""
TASKS: Final = frozenset({"energy", "timing", "uvwFI"})
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
        By ``whole``, ``not_restored`` and the name of each restorer; where the events have the expected light, by
        ``expected``, too: dead channels hold just that and no time, better than which no photons can be restored.
    """
    predicted: dict[str, dict[str, list[FloatArray]]] = {}
    true: dict[str, list[FloatArray]] = {}
    for batch in events.batches():
        for name, (npho, time) in _variants(batch, dead, restorers).items():
            for task, values in predictor.predict(npho, time).items():
                if task in TASKS:
                    predicted.setdefault(name, {}).setdefault(task, []).append(np.asarray(values))
        for task in TASKS & batch.true.keys():
            true.setdefault(task, []).append(batch.true[task])
    joined = {task: np.concatenate(parts) for task, parts in true.items()}
    return {
        name: summarize_tasks({task: np.concatenate(parts) for task, parts in by_task.items()}, joined)
        for name, by_task in predicted.items()
    }


def _variants(batch: RawBatch, dead: BoolArray, restorers: Sequence[Restorer]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return photons and times with all channels, without the dead ones, and restored."""
    gone = batch.without(torch.tensor(dead))
    variants = {WHOLE: (batch.npho, batch.time), NOT_RESTORED: (gone.npho, gone.time)}
    for restorer in restorers:
        restored = restorer.restore(batch.npho.numpy(), batch.time.numpy(), dead)
        variants[restorer.name] = (_tensor(restored.npho), _tensor(restored.time))
    if LIGHT in batch.true:
        light = torch.where(torch.tensor(dead), _tensor(batch.true[LIGHT]), batch.npho)
        variants[EXPECTED] = (light, gone.time)
    return variants


def _tensor(values: FloatArray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
