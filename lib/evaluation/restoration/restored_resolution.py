"""What dead channels cost a regressor, and how much of it a restoration gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from lib.evaluation.comparison import summarize_tasks
from lib.evaluation.raw_events import RawBatch, RawEvents
from lib.evaluation.restoration.restoration_scores import COVERED
from lib.evaluation.restoration.restorer import Restorer
from lib.evaluation.statistics.residuals import task_residuals
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
_LEAST_SPREAD: Final = 1e-12


class ReadingsPredictor(Protocol):
    """Predicts from readings."""

    def predict(self, npho: Tensor, time: Tensor) -> Mapping[str, FloatArray]:
        """Return predictions by task, shape (B, width), for readings of shape (B, 4760)."""
        ...


@dataclass(frozen=True)
class CostsOfDead:
    """What dead channels cost, by ``whole``, ``not_restored``, ``expected`` and the name of each restorer.

    Attributes:
        resolutions: Of each quantity.
        movements: By quantity, the 68 % of how far each prediction moves from that with all channels, over the 68 % of
            the residuals there; without the shift that all have in common. What it adds to a resolution in quadrature
            stands out long before two widths differ by more than their errors.
    """

    resolutions: dict[str, list[ResolutionSummary]]
    movements: dict[str, dict[str, float]]


def costs_of_dead(
    predictor: ReadingsPredictor, events: RawEvents, dead: BoolArray, restorers: Sequence[Restorer]
) -> CostsOfDead:
    """Return what a regressor says of the same events with all channels, without some, and with these restored.

    Args:
        predictor: A regressor.
        events: With the truth of what it predicts.
        dead: Channels that are taken away, shape (4760,).
        restorers: Methods and models.

    Returns:
        Resolutions and movements; those of ``expected`` where the events have the expected light: dead channels hold
        just that and no time, better than which no photons can be restored.
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
    truth = {task: np.concatenate(parts) for task, parts in true.items()}
    said = {name: {task: np.concatenate(parts) for task, parts in one.items()} for name, one in predicted.items()}
    whole = _residuals(said[WHOLE], truth)
    return CostsOfDead(
        {name: summarize_tasks(one, truth) for name, one in said.items()},
        {name: _movements(_residuals(one, truth), whole) for name, one in said.items()},
    )


def _residuals(predicted: Mapping[str, FloatArray], true: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return signed residuals by quantity; a distance has no sign and is left out."""
    found = [one for task, values in predicted.items() for one in task_residuals(task, values, true[task])]
    return {one.name: one.values for one in found if not one.is_distance}


def _movements(residuals: Mapping[str, FloatArray], whole: Mapping[str, FloatArray]) -> dict[str, float]:
    moved = {name: _spread(values - whole[name]) for name, values in residuals.items()}
    return {name: value / max(_spread(whole[name]), _LEAST_SPREAD) for name, value in moved.items()}


def _spread(values: FloatArray) -> float:
    return float(np.quantile(np.abs(values - np.median(values)), COVERED))


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
