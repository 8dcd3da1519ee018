"""Show what is in a ROOT file: trees, branches, types, shapes, ranges, shares without a value, a histogram each.

Examples:
    python macro/inspect_root.py data/quick/val/events_000002_0000.root
    python macro/inspect_root.py root://server//data/run1.root --tree tree --output run1.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.entry import EXIT_DONE, run_command

if TYPE_CHECKING:
    from lib.data.trees.tree_description import BranchDescription, TreeDescription

TEXT_BINS = 24
FIGURE_BINS = 80


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    options = _parse(arguments)
    # NumPy and the ROOT library take their time to import; the help need not wait for them.
    from lib.data.files.location import input_path  # noqa: PLC0415
    from lib.data.trees.tree_description import describe_file  # noqa: PLC0415

    if options.output is not None:
        from lib.evaluation.drawing.figure_file import check_figure_suffix  # noqa: PLC0415

        check_figure_suffix(options.output)
    bins = TEXT_BINS if options.output is None else FIGURE_BINS
    trees = list(describe_file(input_path(options.file), tree_name=options.tree, entries=options.entries, bins=bins))
    for tree in trees:
        print("\n".join(tree_lines(tree, with_bars=options.output is None)))
    if options.output is not None:
        _draw(trees, options.output)
        print(f"wrote {options.output}")
    return EXIT_DONE


def tree_lines(tree: "TreeDescription", *, with_bars: bool) -> list[str]:
    """Return one line per branch below one for the tree."""
    from lib.data.trees.tree_description import bars  # noqa: PLC0415

    lines = [f"tree {tree.name!r}: {tree.num_entries} entries, the first {tree.num_read} looked at"]
    for one in tree.branches:
        shape = "" if one.shape is None else "".join(f"[{length}]" for length in one.shape)
        head = f"  {one.name + shape:28s}{one.type_name:16s}"
        if one.counts is None or one.edges is None:
            lines.append(f"{head}no plain numbers" if tree.num_read else head.rstrip())
            continue
        shown = f"  {one.edges[0]:>10.4g} {bars(one.counts)} {one.edges[-1]:<10.4g}" if with_bars else ""
        lines.append(f"{head}{one.low:>11.4g} to {one.high:<11.4g}{_shares(one):32s}{shown}".rstrip())
    return lines


def _shares(one: "BranchDescription") -> str:
    parts = (("no value", one.no_value), ("not finite", one.not_finite), ("zero", one.zero))
    return ", ".join(f"{share:.2%} {name}" for name, share in parts if share)


def _draw(trees: Sequence["TreeDescription"], output: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415

    from lib.evaluation.drawing.figure_file import save_figure  # noqa: PLC0415

    shown = [(tree.name, one) for tree in trees for one in tree.branches if one.counts is not None]
    rows = max(-(-len(shown) // 3), 1)
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    panels = figure.subplots(rows, 3, squeeze=False).ravel()
    for axes, (tree_name, one) in zip(panels, shown, strict=False):
        axes.stairs(one.counts, one.edges, fill=True, color="#0072b2")
        axes.set_yscale("log", nonpositive="clip")
        axes.set_title(f"{tree_name}/{one.name}", fontsize=10)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    save_figure(figure, output)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python macro/inspect_root.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", help="ROOT file, or its URL (root://, http://)")
    parser.add_argument("--tree", help="only this tree; all by default")
    parser.add_argument("--entries", type=int, default=1000, help="look at so many entries from the first on")
    parser.add_argument("--output", type=Path, help="draw the histograms into a figure: .png, .pdf or .svg")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
