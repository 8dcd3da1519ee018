"""Write the page of a run anew from its folder, or compare several runs on one page.

Examples:
    python macro/make_report.py artifacts/my_run
    python macro/make_report.py artifacts/first artifacts/second --output comparison.html
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
    from lib.cli.run_defaults import default_settings  # noqa: PLC0415
    from lib.report.run_folder import read_run  # noqa: PLC0415
    from lib.report.write import write_comparison, write_page  # noqa: PLC0415

    runs = [read_run(folder) for folder in options.run]
    if len(runs) == 1:
        print(write_page(runs[0], default_settings(runs[0].kind), output=options.output))
    else:
        print(write_comparison(runs, options.output or Path("comparison.html")))
    return EXIT_DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python macro/make_report.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, nargs="+", help="folder of a run, such as artifacts/my_run")
    parser.add_argument(
        "--output", type=Path, help="page to write: report.html in the run's folder, of several runs comparison.html"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
