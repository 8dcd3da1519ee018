"""Pretrain the encoder without labels, as a masked autoencoder."""

import sys
from collections.abc import Sequence

from lib.cli.entry import run_command
from lib.cli.launch import launch_training
from lib.cli.options import parse_training_options
from lib.cli.schemas import MaeConfig


def main(arguments: Sequence[str]) -> int:
    """Parse, build, run."""
    options = parse_training_options("lib.train_mae", __doc__ or "", arguments)
    return launch_training(MaeConfig, options)


if __name__ == "__main__":
    sys.exit(run_command(main))
