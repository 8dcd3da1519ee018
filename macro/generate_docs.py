"""Write the pages and figures of docs/ that are generated from the code."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lib.atomic import atomic_path
from lib.cli.entry import EXIT_DONE, run_command
from lib.reference.pages import generated_pages

DOCS = Path(__file__).parents[1] / "docs"


def main(arguments: Sequence[str]) -> int:
    """Write each generated page."""
    if arguments:
        print("usage: python macro/generate_docs.py")
        return 2
    for name, text in generated_pages(DOCS).items():
        with atomic_path(DOCS / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(f"wrote {DOCS / name}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
