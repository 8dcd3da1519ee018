"""Draw one event of a ROOT file: photons and time of every sensor on the unrolled detector.

Example: python macro/show_event.py data/quick/run1.root --event 7 --output event.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.cli.entry import EXIT_DONE, run_command
from lib.data.branches import DEAD, ENERGY, NPHO, TIME, TREE_NAME, UVW
from lib.data.files.location import InputPath, input_path
from lib.data.trees.schema import BranchAdvice, BranchPlan, check_files
from lib.data.trees.source import EventReader
from lib.data.trees.tree_reading import open_file, read_errors
from lib.errors import DataError
from lib.evaluation.drawing.event_display import DisplayedEvent, draw_event
from lib.evaluation.drawing.figure_file import check_figure_suffix, save_figure

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


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    parser = argparse.ArgumentParser(description="Draw one event on the unrolled detector.")
    parser.add_argument("file", type=input_path, help="ROOT file, or its URL")
    parser.add_argument("--event", type=int, default=0, help="position of the event in the tree, from 0")
    parser.add_argument("--output", type=Path, default=Path("event.png"), help="figure to write: .png, .pdf or .svg")
    parser.add_argument("--tree", default=TREE_NAME, help="tree that holds the events")
    options = parser.parse_args(arguments)
    check_figure_suffix(options.output)
    save_figure(draw_event(read_event(options.file, options.event, options.tree)), options.output)
    print(f"wrote {options.output}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
