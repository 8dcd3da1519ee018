"""Put several inpainters and the conventional methods side by side, on the sensors that each of them restored.

Example: python macro/compare_inpainter.py out/restored_a.root out/restored_b.root artifacts/run_c

Takes files of macro/validate_inpainter.py, or folders of runs with checkpoint.save_predictions, of which the last epoch
is taken. The methods are those of the first file. Only on the same events with the same --seed are sensors the same.
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
    from lib.evaluation.restoration.restoration_figures import draw_analysis  # noqa: PLC0415
    from lib.evaluation.restoration.restoration_report import describe_side_by_side, side_by_side  # noqa: PLC0415

    shown = side_by_side(options.rows)
    save_figures(draw_analysis(shown), options.output)
    print(describe_side_by_side(shown), end="")
    print(options.output)
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python macro/compare_inpainter.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("rows", type=Path, nargs="+", metavar="ROWS.root_or_RUN", help="restored sensors, by model")
    parser.add_argument("--output", type=Path, default=Path("inpainter_comparison.pdf"), help="figures to write (.pdf)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
