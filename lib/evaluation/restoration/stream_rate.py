"""How fast restored sensors are written while a training validates."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.evaluation.restoration.restored_rows import RowsDescription, hidden_rows, rows_file
from lib.geometry.sensors import NUM_SENSORS

EVENTS: Final = 256
HIDDEN_SHARE: Final = 0.05


def rows_per_second(
    folder: Path, normalization: Normalization, rows: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the hidden sensors per second that become rows of a ROOT file, photons and times.

    Args:
        folder: For the file, which is removed.
        normalization: Of the made-up events.
        rows: At least so many are written.
        clock: By which it is measured.
    """
    draw = torch.Generator().manual_seed(0)
    npho, seconds = 1000 * torch.rand(EVENTS, NUM_SENSORS, generator=draw), torch.full((EVENTS, NUM_SENSORS), 1e-8)
    x, valid = normalization.apply(npho, seconds)
    hidden = torch.rand(EVENTS, NUM_SENSORS, generator=draw) < HIDDEN_SHARE
    numbers = torch.arange(EVENTS)
    batch = EventBatch(x, valid, {}, numbers, numbers, torch.ones(EVENTS), seed=0)
    said = {"prediction": x + 0.01 * torch.rand(x.shape, generator=draw), "hidden": hidden}
    path, written = folder / "rows.root", 0
    begin = clock()
    with rows_file(path, RowsDescription(normalization, 2, "random", 1, "0" * 64)) as writer:
        while written < rows:
            columns = hidden_rows(batch, said, normalization, "random")
            writer.write(columns)
            written += len(columns["sensor"])
    elapsed = clock() - begin
    path.unlink()
    return written / elapsed
