"""Write the pages and figures of docs/ that are generated from the code.

Example: python macro/generate_docs.py
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.atomic import atomic_path
from lib.cli.entry import EXIT_DONE, run_command

DOCS = Path(__file__).parents[1] / "docs"


def main(arguments: Sequence[str]) -> int:
    """Write each generated page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", action="store_true", help="the sizes of all models too, which takes half a minute")
    options = parser.parse_args(arguments)
    from lib.reference.model_sizes import SIZES_PAGE, model_sizes_page  # noqa: PLC0415
    from lib.reference.pages import generated_pages  # noqa: PLC0415

    pages = generated_pages(DOCS) | ({SIZES_PAGE: model_sizes_page()} if options.sizes else {})
    for name, text in pages.items():
        with atomic_path(DOCS / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(f"wrote {DOCS / name}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
