"""Train the regressor of emission angle, energy, time and first interaction point."""

import sys
from collections.abc import Sequence

from lib.cli.entry import run_command
from lib.cli.launch import launch_training
from lib.cli.options import parse_training_options
from lib.cli.schemas import RegressorConfig


def main(arguments: Sequence[str]) -> int:
    """Parse, build, run."""
    options = parse_training_options("lib.train_regressor", __doc__ or "", arguments)
    return launch_training(RegressorConfig, options)


if __name__ == "__main__":
    sys.exit(run_command(main))
