"""Overlay the residuals of several runs, and print their resolutions side by side.

Example: python macro/compare_runs.py artifacts/run_a artifacts/run_b --output comparison.pdf
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    options = _parse(arguments)
    # Matplotlib and torch take seconds to import; the help need not wait for them.
    from lib.errors import UserError  # noqa: PLC0415
    from lib.evaluation.comparison import format_comparison  # noqa: PLC0415
    from lib.evaluation.drawing.comparison_figure import draw_comparison  # noqa: PLC0415
    from lib.evaluation.drawing.figure_file import save_figures  # noqa: PLC0415
    from lib.evaluation.prediction_table import evaluate_tables, find_tables  # noqa: PLC0415

    runs = {folder.resolve().name: evaluate_tables(find_tables(folder, None)) for folder in options.folders}
    if len(runs) < len(options.folders):
        raise UserError("Two of the folders have the same name, so that their runs could not be told apart.")
    summaries = {
        name: [one for task in evaluation.tasks.values() for one in task.summaries()]
        for name, evaluation in runs.items()
    }
    save_figures(draw_comparison(runs), options.output)
    print(format_comparison(summaries), end="")
    print(options.output)
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python macro/compare_runs.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "folders", nargs="+", type=Path, help="folders of runs, with their predictions_<task>_<run>.csv"
    )
    parser.add_argument("--output", type=Path, default=Path("comparison.pdf"), help="figure to write (.pdf)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
