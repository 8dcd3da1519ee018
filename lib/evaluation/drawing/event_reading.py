"""One event of a ROOT file, to be drawn."""

import numpy as np

from lib.data.branches import DEAD, ENERGY, NPHO, TIME, UVW
from lib.data.files.location import InputPath
from lib.data.trees.schema import BranchAdvice, BranchPlan, check_files
from lib.data.trees.source import EventReader
from lib.data.trees.tree_reading import open_file, read_errors
from lib.errors import DataError
from lib.evaluation.drawing.event_display import DisplayedEvent

_ADVICE = BranchAdvice(tree="Name another by --tree", npho="", time="")


def read_event(path: InputPath, entry: int, tree_name: str) -> DisplayedEvent:
    """Read one event, with as much truth as the file has.

    Args:
        path: ROOT file.
        entry: Position of the event in the tree, from 0.
        tree_name: Tree that holds the events.

    Raises:
        DataError: If the file cannot serve or has no such entry.
    """
    (file,) = check_files([path], BranchPlan(tree_name, NPHO, TIME, advice=_ADVICE))
    if not 0 <= entry < file.num_entries:
        raise DataError(f"{path}: no event {entry}; the tree {tree_name!r} holds the events 0-{file.num_entries - 1}.")
    with read_errors(path), open_file(path) as directory:
        present = set(directory[tree_name].keys())
    optional = tuple(name for name in (ENERGY, UVW, DEAD) if name in present)
    plan = BranchPlan(tree_name, NPHO, TIME, optional, advice=_ADVICE)
    reader = EventReader(check_files([path], plan), plan)
    chunk = reader.read(0, entry, entry + 1)
    reader.close()
    npho = chunk.npho[0]
    if DEAD in chunk.truth:
        npho = np.where(chunk.truth[DEAD][0] > 0, np.nan, npho)
    return DisplayedEvent(
        npho=npho,
        time=chunk.time[0],
        run=int(chunk.run[0]),
        event=int(chunk.event[0]),
        energy_gev=float(chunk.truth[ENERGY][0, 0]) if ENERGY in chunk.truth else None,
        uvw=chunk.truth[UVW][0] if UVW in chunk.truth else None,
    )
