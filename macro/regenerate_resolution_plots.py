"""Draw the resolutions of a run anew from its tables of predictions, without model or events.

Example: python macro/regenerate_resolution_plots.py artifacts/my_run --output_dir figures
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
    from lib.evaluation.comparison import format_summaries  # noqa: PLC0415
    from lib.evaluation.prediction_table import evaluate_tables, find_tables  # noqa: PLC0415
    from lib.evaluation.run_report import write_resolutions  # noqa: PLC0415

    paths = find_tables(options.folder, options.run_name)
    evaluation = evaluate_tables(paths)
    run_name = options.run_name or options.folder.resolve().name
    for path in write_resolutions(evaluation, options.output_dir or options.folder, run_name):
        print(path)
    print(format_summaries([one for task in evaluation.tasks.values() for one in task.summaries()]), end="")
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python macro/regenerate_resolution_plots.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="folder of a run, with its predictions_<task>_<run>.csv")
    parser.add_argument("--output_dir", type=Path, help="where figures are written; by default the folder itself")
    parser.add_argument("--run_name", help="the run, where the folder holds tables of several")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
