"""Pretrain the encoder without labels, as a masked autoencoder."""

import sys
from collections.abc import Sequence

from lib.cli.entry import run_command
from lib.cli.options import parse_training_options
from lib.cli.schemas import MaeConfig
from lib.config import load_config


def main(arguments: Sequence[str]) -> int:
    """Parse, build, run."""
    options = parse_training_options("lib.train_mae", __doc__ or "", arguments)
    config = load_config(MaeConfig, options.config, options.assignments, options.overlays)
    # Torch takes seconds to import; help and mistakes in the configuration need not wait for it.
    from lib.cli.training_run import run_training  # noqa: PLC0415

    return run_training(config)


if __name__ == "__main__":
    sys.exit(run_command(main))
