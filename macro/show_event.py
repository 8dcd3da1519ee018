"""Draw one event of a ROOT file: photons and time of every sensor on the unrolled detector.

Example: python macro/show_event.py data/quick/run1.root --event 7 --output event.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command
from lib.data.branches import TREE_NAME
from lib.data.files.location import input_path
from lib.evaluation.drawing.event_display import draw_event
from lib.evaluation.drawing.event_reading import read_event
from lib.evaluation.drawing.figure_file import check_figure_suffix, save_figure


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
