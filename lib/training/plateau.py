"""Lowers the learning rate when the validation loss no longer falls."""

import math
from typing import TypeAlias

PlateauState: TypeAlias = dict[str, float]


class Plateau:
    """Knows how long the validation loss has not fallen, and the factor on the learning rate that follows.

    Args:
        patience: Epochs without a new lowest loss that are waited for.
        factor: What the learning rate is multiplied with then.
    """

    def __init__(self, patience: int, factor: float) -> None:
        self._patience = patience
        self._step = factor
        self.factor = 1.0
        self._best = math.inf
        self._waited = 0

    def see(self, loss: float) -> None:
        """Take in the validation loss of one epoch; one that is not finite is no new lowest."""
        if loss < self._best:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited > self._patience:
            self.factor *= self._step
            self._waited = 0

    def state_dict(self) -> PlateauState:
        """Return everything as plain values."""
        return {"factor": self.factor, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: PlateauState) -> None:
        """Go on from what ``state_dict`` returned."""
        self.factor, self._best, self._waited = state["factor"], state["best"], int(state["waited"])
