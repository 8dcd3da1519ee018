"""Write the pages of docs/ that are generated from the code."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lib.atomic import atomic_path
from lib.cli.entry import EXIT_DONE, run_command
from lib.cli.reference import configuration_reference

DOCS = Path(__file__).parents[1] / "docs"


def main(arguments: Sequence[str]) -> int:
    """Write each generated page."""
    if arguments:
        print("usage: python macro/generate_docs.py")
        return 2
    with atomic_path(DOCS / "configuration.md") as temporary:
        temporary.write_text(configuration_reference(), encoding="utf-8")
    print(f"wrote {DOCS / 'configuration.md'}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
