"""How often each class was taken for which."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.geometry.sensors import FloatArray


@dataclass(frozen=True)
class ClassScore:
    """How well a class is told.

    Attributes:
        num_events: Events with a true class.
        accuracy: Share of the events whose most probable class is the true one.
        accuracy_error: Its statistical error.
        log_loss: Mean of minus the logarithm of the probability of the true class.
    """

    num_events: int
    accuracy: float
    accuracy_error: float
    log_loss: float


class ClassCounts:
    """Confusion matrix and log loss of probabilities.

    Args:
        num_classes: How many there are; larger true numbers count as the last.
    """

    def __init__(self, num_classes: int) -> None:
        self.matrix: NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)
        self._log_loss = 0.0

    def add(self, probabilities: FloatArray, true: FloatArray) -> None:
        """Take in probabilities of shape (N, K) and true numbers of shape (N, 1)."""
        last = len(self.matrix) - 1
        keep = np.isfinite(probabilities).all(axis=1) & np.isfinite(true[:, 0])
        true_class = np.clip(np.rint(true[keep, 0]), 0, last).astype(np.int64)
        np.add.at(self.matrix, (true_class, probabilities[keep].argmax(axis=1)), 1)
        of_truth = probabilities[keep].astype(np.float64)[np.arange(len(true_class)), true_class]
        self._log_loss -= float(np.log(np.maximum(of_truth, 1e-30)).sum())

    def join(self, other: "ClassCounts") -> None:
        """Take in what another one has."""
        self.matrix += other.matrix
        self._log_loss += other._log_loss

    def score(self) -> ClassScore:
        """Return accuracy and log loss; NaN without events."""
        total = int(self.matrix.sum())
        if not total:
            return ClassScore(0, float("nan"), float("nan"), float("nan"))
        accuracy = float(np.trace(self.matrix)) / total
        return ClassScore(total, accuracy, (accuracy * (1.0 - accuracy) / total) ** 0.5, self._log_loss / total)
