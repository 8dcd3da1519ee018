"""Files in which dead channels are restored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import uproot

from lib.atomic import atomic_path
from lib.data.branches import DEAD, EVENT, INVALID_ABOVE, NPHO, RUN, TIME
from lib.data.files.location import InputPath
from lib.data.trees.schema import BranchAdvice, BranchPlan, check_files
from lib.data.trees.source import EventReader
from lib.data.trees.tree_reading import open_file, read_errors
from lib.errors import DataError
from lib.evaluation.restoration.restorer import Restorer
from lib.geometry.coordinates import BoolArray
from lib.geometry.sensors import NUM_SENSORS, FloatArray

EVENTS_AT_A_TIME: Final = 1024
_ADVICE = BranchAdvice(tree="Name another by --tree", npho="", time="")


@dataclass(frozen=True)
class RecoveryReport:
    """What became of a file.

    Attributes:
        num_events: Events of it.
        mean_dead: Dead channels of an event on average.
    """

    num_events: int
    mean_dead: float


def recover_file(
    path: InputPath, output: Path, restorer: Restorer, *, dead: BoolArray | None, tree_name: str
) -> RecoveryReport:
    """Write a copy of the sensors of a file with its dead channels restored and flagged.

    Args:
        path: ROOT file.
        output: File to write; appears when it is whole.
        restorer: Restores.
        dead: True for channels that are dead whatever the file says, shape (4760,).
        tree_name: Tree that holds the events.

    Raises:
        DataError: If the file cannot serve, or would be overwritten.
    """
    if Path(str(path)).resolve() == output.resolve():
        raise DataError(f"{path}: would be overwritten. Choose another --output_dir.")
    with read_errors(path), open_file(path) as directory:
        check_files([path], BranchPlan(tree_name, NPHO, TIME, advice=_ADVICE))
        known = (DEAD,) if DEAD in directory[tree_name] else ()
    plan = BranchPlan(tree_name, NPHO, TIME, known, advice=_ADVICE)
    (file,) = check_files([path], plan)
    reader = EventReader([file], plan)
    sensors = (NUM_SENSORS,)
    types = {
        RUN: np.dtype(np.int64),
        EVENT: np.dtype(np.int64),
        NPHO: np.dtype((np.float32, sensors)),
        TIME: np.dtype((np.float32, sensors)),
        DEAD: np.dtype((np.uint8, sensors)),
    }
    num_dead = 0
    with atomic_path(output) as temporary, uproot.recreate(temporary, compression=uproot.LZ4(1)) as written:
        tree = written.mktree(tree_name, types)
        for first in range(0, file.num_entries, EVENTS_AT_A_TIME):
            chunk = reader.read(0, first, min(first + EVENTS_AT_A_TIME, file.num_entries))
            is_dead = _dead(chunk.npho, chunk.truth.get(DEAD), dead)
            restored = restorer.restore(chunk.npho, chunk.time, is_dead)
            num_dead += int(is_dead.sum())
            tree.extend(
                {
                    RUN: np.asarray(chunk.run, dtype=np.int64),
                    EVENT: np.asarray(chunk.event, dtype=np.int64),
                    NPHO: restored.npho.astype(np.float32),
                    TIME: restored.time.astype(np.float32),
                    DEAD: is_dead.astype(np.uint8),
                }
            )
    reader.close()
    return RecoveryReport(file.num_entries, num_dead / max(file.num_entries, 1))


def _dead(npho: FloatArray, branch: FloatArray | None, listed: BoolArray | None) -> BoolArray:
    """Return which channels are dead, shape (n, 4760)."""
    dead = ~(np.isfinite(npho) & (np.abs(npho) < INVALID_ABOVE))
    if branch is not None:
        dead |= branch > 0
    return dead if listed is None else dead | listed
