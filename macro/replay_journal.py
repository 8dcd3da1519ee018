"""Send what MLflow misses of the journal of a run, such as artifacts/my_run, after the store was down."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.cli.entry import EXIT_DONE, run_command


def main(arguments: Sequence[str]) -> int:
    """Parse, send, tell."""
    parser = argparse.ArgumentParser(prog="python macro/replay_journal.py", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of a run that is not under way")
    options = parser.parse_args(arguments)
    # Its packages take seconds to import; the help need not wait for them.
    from lib.training.records.replay import replay_journal  # noqa: PLC0415
    from lib.training.records.tracking import tracking_uri  # noqa: PLC0415

    epochs, sent = replay_journal(options.folder)
    print(f"{options.folder}: {epochs} epochs, {sent} values sent to {tracking_uri()}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
