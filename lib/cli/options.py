"""The options that the training commands share."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingOptions:
    """What a training command was told.

    Attributes:
        config: The configuration file.
        assignments: Settings that override it, as ``section.key=value``.
    """

    config: Path
    assignments: list[str]


def parse_training_options(command: str, description: str, arguments: Sequence[str]) -> TrainingOptions:
    """Parse the command line of a training.

    Args:
        command: Module name, for the usage line.
        description: First line of the help.
        arguments: What follows the command.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {command}", description=description)
    parser.add_argument("--config", type=Path, required=True, metavar="X.yaml", help="configuration of the run")
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override one setting of the file; may be repeated",
    )
    parser.add_argument(
        "--resume_from", metavar="CKPT", help="go on from a checkpoint; auto takes the run's last one if there is one"
    )
    parser.add_argument("--init_from", metavar="CKPT", help="start from the weights of a checkpoint where they fit")
    options = parser.parse_args(arguments)
    assignments: list[str] = list(options.assignments)
    for key in ("resume_from", "init_from"):
        value: str | None = vars(options)[key]
        if value is not None:
            # Quoted, so that a path is never read as anything else.
            assignments.append(f"checkpoint.{key}={json.dumps(value)}")
    return TrainingOptions(options.config, assignments)
