"""Predictions of a regressor beside the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.geometry.sensors import FloatArray
from lib.tasks.targets import Target


@dataclass(frozen=True, eq=False)
class TaskPredictions:
    """What was predicted for one target.

    Attributes:
        target: The target, with labels and unit.
        run: Run numbers, shape (N,).
        event: Event numbers, shape (N,).
        predicted: Predictions in the target's unit, shape (N, width).
        true: Truth, same shape.
    """

    target: Target
    run: NDArray[np.int64]
    event: NDArray[np.int64]
    predicted: FloatArray
    true: FloatArray
