"""Restored sensors as rows of a ROOT tree: one for each hidden sensor, written as they come."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import torch
import uproot
from numpy.typing import NDArray
from torch import Tensor

from lib.atomic import atomic_path
from lib.baselines.dead_channels import DeadChannelMethod, restore_dead_channels
from lib.data.batch import EventBatch
from lib.data.branches import EVENT, NO_VALUE, RUN, TREE_NAME
from lib.data.normalization import Normalization
from lib.geometry.sensors import nominal_sensors
from lib.tasks.mask_drawing import NPHO_CHANNEL, TIME_CHANNEL
from lib.tasks.masking_config import MaskKind

METADATA_TREE: Final = "metadata"
MASK_KINDS: Final[tuple[MaskKind, ...]] = get_args(MaskKind)
"""The column mask_kind counts along this."""

ROWS_PER_BASKET: Final = 100_000
"""Rows that are held back, so that a reader finds few large baskets; 6 MB."""

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class RowsDescription:
    """What a file of restored sensors says about itself.

    Attributes:
        normalization: Of the network inputs.
        channels: Numbers predicted per sensor.
        mask_kind: How the sensors were chosen.
        epoch: Epochs that the model was trained for.
        config_hash: Fingerprint of the configuration, hexadecimal.
    """

    normalization: Normalization
    channels: int
    mask_kind: MaskKind
    epoch: int
    config_hash: str


def hidden_rows(
    batch: EventBatch,
    said: Mapping[str, Tensor],
    normalization: Normalization,
    mask_kind: MaskKind,
    methods: Sequence[DeadChannelMethod] = (),
) -> Columns:
    """Return the columns of the hidden sensors of a batch, photons and seconds, 1e10 where there is no value.

    Args:
        batch: Normalized, on the device of what was said; rows of weight 0 are left out.
        said: prediction, hidden and perhaps error, as the task gives them.
        normalization: Of the batch.
        mask_kind: How the sensors were chosen.
        methods: Conventional methods to stand beside the prediction.
    """
    hidden = said["hidden"] & (batch.weight > 0)[:, None]
    event, sensor = hidden.nonzero(as_tuple=True)
    rows, place = sensor.cpu().numpy(), event.cpu()
    columns: Columns = {
        RUN: batch.run.cpu()[place].numpy(),
        EVENT: batch.event.cpu()[place].numpy(),
        "sensor": rows.astype(np.int32),
        "face": nominal_sensors().face_codes[rows].astype(np.int8),
        "mask_kind": np.full(len(rows), MASK_KINDS.index(mask_kind), dtype=np.int8),
    }
    prediction, truth, valid = (one[event, sensor] for one in (said["prediction"].float(), batch.x, batch.valid))
    errors = said["error"][event, sensor] if "error" in said else None
    for channel in range(prediction.shape[-1]):
        learnt = None if errors is None else errors[:, channel]
        columns |= _channel(
            channel, prediction[:, channel], truth[:, channel], valid[:, channel], learnt, normalization
        )
    readings = physical(batch, normalization) if methods else None
    for method in methods:
        assert readings is not None
        restored = restore_dead_channels(*readings, hidden.cpu().numpy(), method)
        indices = (place.numpy(), rows)
        columns[f"npho_{method}"] = restored.npho[indices].astype(np.float32)
        columns[f"time_{method}"] = restored.time[indices].astype(np.float32)
    return columns


def physical(batch: EventBatch, normalization: Normalization) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return photons and seconds of each sensor, shape (B, 4760), 1e10 where there is no value."""
    npho = torch.where(batch.valid[..., 0], normalization.inverse_npho(batch.x[..., 0]), NO_VALUE)
    time = torch.where(batch.valid[..., 1], normalization.inverse_time(batch.x[..., 1]), NO_VALUE)
    return npho.cpu().numpy(), time.cpu().numpy()


def _channel(
    channel: int,
    prediction: Tensor,
    truth: Tensor,
    valid: Tensor,
    learnt: Tensor | None,
    normalization: Normalization,
) -> Columns:
    """Return truth, prediction, their difference, and the learnt error of one channel, shape (k,) each."""
    name, invert = {
        NPHO_CHANNEL: ("npho", normalization.inverse_npho),
        TIME_CHANNEL: ("time", normalization.inverse_time),
    }[channel]
    predicted, true = invert(prediction), invert(truth)
    columns = {
        f"{name}_truth": torch.where(valid, true, NO_VALUE),
        f"{name}_pred": predicted,
        f"{name}_error": torch.where(valid, predicted - true, NO_VALUE),
    }
    if learnt is not None:
        columns[f"{name}_sigma"] = (invert(prediction + learnt) - predicted).abs()
    return {key: values.cpu().numpy().astype(np.float32) for key, values in columns.items()}


class RowsWriter:
    """Appends columns to the tree of restored sensors; holds back one basket and no more.

    Attributes:
        num_waiting: Rows that are held back.

    Args:
        file: An empty file.
    """

    def __init__(self, file: uproot.WritableDirectory) -> None:
        self._file = file
        self._tree: Any = None
        self._waiting: list[Columns] = []
        self.num_waiting = 0

    def write(self, columns: Columns) -> None:
        """Append rows; the first ones decide which columns there are."""
        self._waiting.append(columns)
        self.num_waiting += len(columns[RUN])
        if self.num_waiting >= ROWS_PER_BASKET:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held back."""
        if not self._waiting:
            return
        columns = {name: np.concatenate([one[name] for one in self._waiting]) for name in self._waiting[0]}
        if self._tree is None:
            self._tree = self._file.mktree(TREE_NAME, {name: values.dtype for name, values in columns.items()})
        self._tree.extend(columns)
        self._waiting, self.num_waiting = [], 0


@contextmanager
def rows_file(path: Path, about: RowsDescription) -> Iterator[RowsWriter]:
    """Yield a writer whose file gets its name when all rows are in it.

    The tree ``metadata`` has one entry with the numbers of the description; the object ``description`` holds all of it
    as JSON text.
    """
    with atomic_path(path) as temporary, uproot.recreate(temporary, compression=uproot.LZ4(1)) as file:
        settings = about.normalization.as_dict()
        numbers = {name: np.array([value]) for name, value in settings.items() if not isinstance(value, str)}
        facts = {
            "channels": about.channels,
            "epoch": about.epoch,
            "mask_kind": MASK_KINDS.index(about.mask_kind),
            "config_hash": int(about.config_hash[:15], 16),
        }
        numbers |= {name: np.array([value], dtype=np.int64) for name, value in facts.items()}
        tree = file.mktree(METADATA_TREE, {name: values.dtype for name, values in numbers.items()})
        tree.extend(numbers)
        file["description"] = json.dumps(
            {
                "normalization": settings,
                "channels": about.channels,
                "mask_kind": about.mask_kind,
                "mask_kinds": MASK_KINDS,
                "epoch": about.epoch,
                "config_hash": about.config_hash,
            }
        )
        writer = RowsWriter(file)
        yield writer
        writer.flush()
