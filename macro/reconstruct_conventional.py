"""Fit the conventional reconstruction to one file and apply it to another.

python macro/reconstruct_conventional.py --train A.root --input B.root --output C.root
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uproot

from lib.atomic import atomic_path
from lib.baselines.conventional import ConventionalReconstruction
from lib.cli.entry import run_command
from lib.data.branches import ENERGY, EVENT, NPHO, RUN, TIME, TIME_TRUTH, TREE_NAME, UVW
from lib.data.files.location import input_path
from lib.data.trees.branch_arrays import read_branches

_STEP = 2000
_BRANCHES = {
    RUN: np.dtype("i8"),
    EVENT: np.dtype("i8"),
    "energy": np.dtype("f8"),
    "time": np.dtype("f8"),
    "uvw": np.dtype(("f8", (3,))),
    "angle": np.dtype(("f8", (2,))),
}


def main(arguments: Sequence[str]) -> int:
    """Fit, or load, a reconstruction and write what it says of the input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--train", type=input_path, help="file with truth that the corrections are fitted to")
    source.add_argument("--load", type=Path, help="reconstruction saved by --save")
    parser.add_argument("--input", type=input_path, required=True, help="file to reconstruct")
    parser.add_argument("--output", type=Path, required=True, help="ROOT file with the results")
    parser.add_argument("--save", type=Path, help="keep the fitted reconstruction (.npz)")
    parser.add_argument("--tree", default=TREE_NAME, help=f"name of the tree (default: {TREE_NAME})")
    options = parser.parse_args(arguments)
    if options.train:
        sample = read_branches(options.train, [NPHO, TIME, ENERGY, TIME_TRUTH, UVW], options.tree)
        reconstruction = ConventionalReconstruction.fit(sample[NPHO], sample[TIME], sample)
    else:
        reconstruction = ConventionalReconstruction.load(options.load)
    if options.save:
        reconstruction.save(options.save)
    events = read_branches(options.input, [NPHO, TIME, RUN, EVENT], options.tree)
    with atomic_path(options.output) as temporary, uproot.recreate(temporary, compression=uproot.ZLIB(1)) as file:
        tree = file.mktree("conventional", _BRANCHES)
        for first in range(0, len(events[RUN]), _STEP):
            part = {name: values[first : first + _STEP] for name, values in events.items()}
            result = reconstruction.reconstruct(part[NPHO], part[TIME])
            columns = {name: np.asarray(values) for name, values in result.items()}
            tree.extend({RUN: part[RUN], EVENT: part[EVENT], **columns})
    print(f"{options.output}: {len(events[RUN])} events")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
