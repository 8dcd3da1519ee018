"""Writes restored sensors while a training validates, with flat memory."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from lib.baselines.dead_channels import DeadChannelMethod
from lib.data.batch import EventBatch
from lib.evaluation.restoration.restored_rows import RowsDescription, RowsWriter, hidden_rows, rows_file
from lib.training.protocol import StepOutput

logger = logging.getLogger(__name__)


class _AbandonedError(Exception):
    """Tells an open file that it is not to get its name."""


class RestorationStream:
    """Writes the hidden sensors of every so many validations.

    Args:
        kind: mae or inpainter; begins the names of the files.
        about: What files say about themselves, whatever the epoch.
        methods: Conventional methods to stand beside the predictions.
        is_due: Whether the validation after a number of epochs is written.
    """

    def __init__(
        self,
        kind: str,
        about: RowsDescription,
        methods: Sequence[DeadChannelMethod],
        is_due: Callable[[int], bool],
    ) -> None:
        self._kind = kind
        self._about = about
        self._methods = methods
        self._is_due = is_due
        self._folder: Path | None = None
        self._epochs_done: Callable[[], int] = lambda: 0
        self._open = ExitStack()
        self._writer: RowsWriter | None = None
        self._given_up = 0

    def begin(self, folder: Path, epochs_done: Callable[[], int]) -> None:
        """Start writing to a folder; before, nothing is written.

        Args:
            folder: Of the run.
            epochs_done: Returns the epochs before the one under way.
        """
        self._folder = folder
        self._epochs_done = epochs_done

    def validation_batch(self, batch: EventBatch, output: StepOutput) -> None:
        """Write the hidden sensors of one batch; a disk that refuses costs the predictions, not the training."""
        epoch = self._epochs_done() + 1
        if self._folder is None or epoch == self._given_up or not self._is_due(epoch):
            return
        try:
            self._write(batch, output, self._folder, epoch)
        except OSError as error:
            logger.error("%s: predictions of epoch %d could not be written (%s)", self._folder, epoch, error)
            self._given_up = epoch
            self.abandon()

    def _write(self, batch: EventBatch, output: StepOutput, folder: Path, epoch: int) -> None:
        if self._writer is None:
            path = folder / f"{self._kind}_predictions_epoch_{epoch}.root"
            self._writer = self._open.enter_context(rows_file(path, replace(self._about, epoch=epoch)))
        about, moved = self._about, batch.to(output.outputs["prediction"].device)
        self._writer.write(hidden_rows(moved, output.outputs, about.normalization, about.mask_kind, self._methods))

    def validation_end(self, epoch: int) -> dict[str, float]:  # noqa: ARG002 - files are named as they are opened
        """Give the file its name; no metrics."""
        try:
            self._open.close()
        except OSError as error:
            # The predictions of one epoch are not worth a training.
            logger.error("predictions of this epoch could not be written (%s)", error)
        self._writer = None
        return {}

    def abandon(self) -> None:
        """Remove the file of a validation that was left."""
        self._writer = None
        with suppress(_AbandonedError), self._open.pop_all():
            raise _AbandonedError
