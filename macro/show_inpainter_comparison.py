"""Draw what an inpainter makes of one event: truth, what is left of it, restored, and their difference.

Example: python macro/show_inpainter_comparison.py artifacts/inpainter/checkpoint_best.pth data/test/run1.root --event 7
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import run_command
from lib.cli.show_restoration import show_restoration


def main(arguments: Sequence[str]) -> int:
    """Run the macro."""
    return show_restoration(
        arguments, description=(__doc__ or "").splitlines()[0], mask_ratio=0.05, output=Path("inpainter.png")
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
