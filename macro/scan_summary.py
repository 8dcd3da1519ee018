"""Tell what differs between the runs of an experiment and how well each did, best first, out of MLflow.

Example: python macro/scan_summary.py --experiment regressor --prefix energy --output energy_scan
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Print the table; write it as CSV, JSON and figures if a name is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", required=True, metavar="E", help="experiment in MLflow (mlflow.experiment)")
    parser.add_argument("--prefix", default="", metavar="P", help="only runs whose name begins so")
    parser.add_argument("--output", type=Path, metavar="NAME", help="write NAME.csv, NAME.json and NAME.pdf")
    parser.add_argument("--json", action="store_true", help="print one JSON object per run instead of the table")
    options = parser.parse_args(arguments)
    # MLflow and matplotlib take seconds to import; who does not need them need not wait for them.
    from lib.evaluation.runs.run_table import find_runs, format_table, table_rows, to_json  # noqa: PLC0415
    from lib.training.records.tracking import tracking_uri  # noqa: PLC0415

    runs = find_runs(tracking_uri(), options.experiment, options.prefix)
    print(to_json(runs) if options.json else format_table(*table_rows(runs)), end="")
    if options.output:
        from lib.evaluation.runs.run_files import write_summary  # noqa: PLC0415

        for path in write_summary(runs, options.output, tracking_uri(), options.experiment):
            print(f"wrote {path}", file=sys.stderr)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
