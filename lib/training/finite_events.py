"""Finds the events of a validation batch whose metrics are not finite, so that the others still count."""

from collections.abc import Callable, Iterator
from typing import Generic

import torch

from lib.training.protocol import B, StepOutput

MAX_SCORES = 1000


class FiniteEvents(Generic[B]):
    """Leaves out of one validation the events that are not finite.

    Args:
        score: Scores fewer events than a batch has.
        max_scores: How often it may be called; after that whole batches are left out. A model that says nothing finite
            at all would otherwise be asked about every single event.

    Attributes:
        seen: Events so far.
        left_out: Those of them that were left out.
    """

    def __init__(self, score: Callable[[B], StepOutput], max_scores: int = MAX_SCORES) -> None:
        self.seen = 0
        self.left_out = 0
        self._score = score
        self._scores_left = max_scores

    def parts(self, batch: B, output: StepOutput) -> Iterator[tuple[B, StepOutput]]:
        """Yield the parts of a batch that are finite, with their scores.

        A sound batch comes back whole. Any other is halved until the events that spoil it stand alone, at a price of
        about 2 log2(rows) scores for each of them.

        Args:
            batch: Some events.
            output: What scoring them gave; this waits for the device.
        """
        self.seen += batch.num_events
        yield from self._halved(batch, output)

    def _halved(self, batch: B, output: StepOutput) -> Iterator[tuple[B, StepOutput]]:
        rows = batch.num_events
        if _is_finite(output):
            yield batch, output
        elif rows == 1 or self._scores_left < 2:
            self.left_out += rows
        else:
            self._scores_left -= 2
            for first, last in ((0, rows // 2), (rows // 2, rows)):
                part = batch.rows(first, last)
                yield from self._halved(part, self._score(part))


def _is_finite(output: StepOutput) -> bool:
    # Not the loss itself: that of rows which only fill up a batch is 0 / 0.
    return bool(torch.stack([total for total, _ in output.sums.values()]).isfinite().all())
