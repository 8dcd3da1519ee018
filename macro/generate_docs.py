"""Write the pages and figures of docs/ that are generated from the code.

Example: python macro/generate_docs.py
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lib.atomic import atomic_path
from lib.cli.entry import EXIT_DONE, run_command

DOCS = Path(__file__).parents[1] / "docs"


def main(arguments: Sequence[str]) -> int:
    """Write each generated page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", action="store_true", help="the sizes of all models too, which takes half a minute")
    parser.add_argument(
        "--tour",
        action="store_true",
        help="the tour too: its notebook is executed, which takes a minute and the packages of the extra docs",
    )
    options = parser.parse_args(arguments)
    from lib.reference.model_sizes import SIZES_PAGE, model_sizes_page  # noqa: PLC0415
    from lib.reference.pages import generated_pages  # noqa: PLC0415

    pages: dict[str, str | bytes] = {**generated_pages(DOCS)}
    if options.sizes:
        pages[SIZES_PAGE] = model_sizes_page()
    if options.tour:
        pages |= _tour()
    for name, content in pages.items():
        with atomic_path(DOCS / name) as temporary:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        print(f"wrote {DOCS / name}")
    return EXIT_DONE


def _tour() -> dict[str, str | bytes]:
    """Execute the notebook and return its page and images."""
    from lib.reference.tour import PAGE, execute_tour, tour_page  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        text, images = tour_page(execute_tour(DOCS, Path(folder)))
    return {PAGE: text, **images}


if __name__ == "__main__":
    sys.exit(run_command(main))
