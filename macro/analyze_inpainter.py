"""Take restored sensors apart: all together, by face, against charge, distance to the light, and size of a gap.

Example: python macro/analyze_inpainter.py out/restored_my_inpainter.root --output analysis.pdf

Reads what macro/validate_inpainter.py writes, or a training with checkpoint.save_predictions, whose rows know neither
distances nor gaps.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    options = _parse(arguments)
    # Matplotlib takes seconds to import; the help need not wait for it.
    from lib.evaluation.drawing.figure_file import save_figures  # noqa: PLC0415
    from lib.evaluation.restoration.restoration_figures import Named, draw_analysis  # noqa: PLC0415
    from lib.evaluation.restoration.restoration_report import describe_table  # noqa: PLC0415
    from lib.evaluation.restoration.restoration_table import read_rows  # noqa: PLC0415

    table = read_rows(options.rows)
    save_figures(draw_analysis({name: Named(table, name) for name in table.restored}), options.output)
    print(describe_table(table), end="")
    print(options.output)
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python macro/analyze_inpainter.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("rows", type=Path, metavar="ROWS.root", help="file of restored sensors")
    parser.add_argument("--output", type=Path, default=Path("inpainter_analysis.pdf"), help="figures to write (.pdf)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
