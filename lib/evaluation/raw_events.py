"""Validation events as the detector measured them, selected as in training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.data.branches import EMISSION_ANGLE, ENERGY, NO_VALUE, UVW
from lib.data.config import DataConfig
from lib.data.files.paths import resolve_paths
from lib.data.normalization import Normalization
from lib.data.stream import EventStream, open_stream
from lib.data.trees.schema import BranchPlan, check_files
from lib.geometry.sensors import FloatArray

# The transform that leaves readings as they are: the loaders then select and check, and nothing else.
_AS_MEASURED: Final = Normalization("linear", 1.0, 1.0, 1.0, 0.0, NO_VALUE, NO_VALUE, -torch.inf)
# Truth along which residuals are looked at, where the files have it.
_PROFILE_TRUTH: Final = {"uvwFI": UVW, "energy": ENERGY, "angle": EMISSION_ANGLE}


@dataclass(frozen=True, eq=False)
class RawBatch:
    """Events as they were measured.

    Attributes:
        npho: Photons per sensor, shape (B, 4760), float32; 1e10 where there is no value.
        time: Seconds per sensor, shape (B, 4760), float32; 1e10 where there is no value.
        true: Truth by task name, shape (B, width).
        run: Run numbers, shape (B,).
        event: Event numbers, shape (B,).
    """

    npho: Tensor
    time: Tensor
    true: dict[str, FloatArray]
    run: NDArray[np.int64]
    event: NDArray[np.int64]

    def without(self, dead: Tensor) -> "RawBatch":
        """Return the events as if some channels had not been read.

        Args:
            dead: True for the channels, shape (4760,).
        """
        npho, time = (torch.where(dead, NO_VALUE, values) for values in (self.npho, self.time))
        return replace(self, npho=npho, time=time)


class RawEvents:
    """The validation events of a configuration.

    Args:
        config: Says which files, branches and selection.
        truth_branches: Branch of the truth of each task that is predicted.

    Raises:
        DataError: If a file cannot serve.
    """

    def __init__(self, config: DataConfig, truth_branches: dict[str, str]) -> None:
        self._branches = {**_known_truth(config, list(truth_branches.values())), **truth_branches}
        self._stream = open_as_measured(config, list(self._branches.values()), "validation")

    @property
    def num_events(self) -> int:
        """Selected events."""
        return self._stream.num_events

    def batches(self) -> Iterator[RawBatch]:
        """Yield all events once, in the order of files and entries."""
        for batch in self._stream.epoch(0):
            real = batch.weight > 0
            npho, time = batch.x[real].unbind(dim=-1)
            true = {name: batch.truth[branch][real].numpy() for name, branch in self._branches.items()}
            yield RawBatch(npho, time, true, batch.run[real].numpy(), batch.event[real].numpy())


def open_as_measured(
    config: DataConfig, truth_branches: Sequence[str], split: Literal["train", "validation"]
) -> EventStream:
    """Return the events of a split, photons and seconds in place of normalized inputs.

    Args:
        config: Says which files, branches and selection.
        truth_branches: Truth to read.
        split: Which files.

    Raises:
        DataError: If a file cannot serve.
    """
    # A packed cache holds normalized events, so it is of no use here.
    uncached = config.model_copy(update={"cache": "off", "num_workers": 0})
    return open_stream(uncached, _AS_MEASURED, list(dict.fromkeys(truth_branches)), split=split, seed=0)


def _known_truth(config: DataConfig, needed: Sequence[str]) -> dict[str, str]:
    plan = BranchPlan.from_config(config, needed)
    files = check_files(resolve_paths(config.val_path), plan)
    present = set.intersection(*(set(file.layout.branches) for file in files))
    return {task: branch for task, branch in _PROFILE_TRUTH.items() if branch in present}
