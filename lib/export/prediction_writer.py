"""Predictions as a ROOT file, event by event."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from numpy.typing import NDArray

from lib.atomic import atomic_path
from lib.data.branches import EVENT, RUN, TREE_NAME
from lib.data.trees.tree_reading import FloatArray
from lib.errors import DataError
from lib.export.metadata import ModelMetadata, OutputDescription

EVENTS_PER_BASKET = 8192
"""Events that are held back, so that a reader finds few large baskets however small the batches were."""

_MODEL_KEY = "model"


def branch_name(output: OutputDescription) -> str:
    """Return the branch of an output; never that of the truth, so that one tree may hold both."""
    return f"pred_{output.name}"


class PredictionWriter:
    """Appends events to the tree of predictions.

    Args:
        file: An empty file.
        outputs: What is predicted.
        kept: Type and shape of the branches that are carried over from the input.
        widths: Numbers per event of outputs that have more than labels, such as those of every sensor.
    """

    def __init__(
        self,
        file: uproot.WritableDirectory,
        outputs: Sequence[OutputDescription],
        *,
        kept: Mapping[str, np.dtype[Any]] | None = None,
        widths: Mapping[str, int] | None = None,
    ) -> None:
        width = {output.name: (widths or {}).get(output.name, len(output.labels)) for output in outputs}
        self._branches = {output.name: branch_name(output) for output in outputs}
        units = "; ".join(f"{branch_name(output)}: {', '.join(output.labels)} in {output.unit}" for output in outputs)
        types = {RUN: np.dtype(np.int64), EVENT: np.dtype(np.int64)} | {
            # A single number is a plain branch, as the truth is.
            branch_name(output): np.dtype((np.float32, (width[output.name],) if width[output.name] > 1 else ()))
            for output in outputs
        }
        types |= kept or {}
        self._tree = file.mktree(TREE_NAME, types, title=units)
        self._shapes = {name: dtype.shape for name, dtype in types.items()}
        self._waiting: dict[str, list[NDArray[Any]]] = {name: [] for name in types}

    def write(
        self,
        run: NDArray[np.int64],
        event: NDArray[np.int64],
        predictions: Mapping[str, FloatArray],
        kept: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Append a batch.

        Args:
            run: Run numbers, shape (n,).
            event: Event numbers, shape (n,).
            predictions: By output name, shape (n, ...).
            kept: What is carried over, by branch.
        """
        rows: dict[str, NDArray[Any]] = {
            RUN: run,
            EVENT: event,
            **{self._branches[name]: values for name, values in predictions.items()},
            **(kept or {}),
        }
        for name, waiting in self._waiting.items():
            waiting.append(rows[name].reshape(-1, *self._shapes[name]))
        if sum(map(len, self._waiting[RUN])) >= EVENTS_PER_BASKET:
            self.flush()

    def flush(self) -> None:
        """Write the events that are held back."""
        if self._waiting[RUN]:
            self._tree.extend({name: np.concatenate(waiting) for name, waiting in self._waiting.items()})
            self._waiting = {name: [] for name in self._waiting}


@contextmanager
def prediction_file(
    path: Path,
    metadata: ModelMetadata,
    outputs: Sequence[OutputDescription] | None = None,
    *,
    kept: Mapping[str, np.dtype[Any]] | None = None,
    widths: Mapping[str, int] | None = None,
) -> Iterator[PredictionWriter]:
    """Yield a writer whose file gets its name when all events are in it.

    Beside the tree, the object ``model`` holds the properties of the model as JSON text.

    Args:
        path: Final place; a file of that name is replaced.
        metadata: Of the model that predicts.
        outputs: Those that are written; all by default.
        kept: As for ``PredictionWriter``.
        widths: As for ``PredictionWriter``.

    Raises:
        DataError: If the file cannot be written.
    """
    try:
        with atomic_path(path) as temporary, uproot.recreate(temporary) as file:
            file[_MODEL_KEY] = metadata.to_json()
            writer = PredictionWriter(file, outputs or metadata.outputs, kept=kept, widths=widths)
            yield writer
            writer.flush()
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}). Choose another --output.") from error
