"""Where in its course a training is."""

from dataclasses import dataclass


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epochs_done: Finished epochs.
        steps_done: Optimizer steps, skipped ones included.
        schedule_start: Step at which the learning-rate schedule began.
        best: Lowest validation loss so far.
        batches_done: Batches of the epoch under way that were used up by finished steps.
    """

    epochs_done: int = 0
    steps_done: int = 0
    schedule_start: int = 0
    best: float = float("inf")
    batches_done: int = 0
