"""The options that the training commands and their check share."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.config.overrides import assignment
from lib.errors import ConfigError, nearest

PLATFORM_FOLDER = Path(__file__).parents[2] / "configs" / "platform"
OVERLAY_NAMES = {"h100": "h200"}
"""Platforms that share the file of another one."""


@dataclass(frozen=True)
class TrainingOptions:
    """What a training command was told.

    Attributes:
        config: The configuration file.
        assignments: Settings that override it, as ``section.key=value``.
        overlays: Files laid over it.
    """

    config: Path
    assignments: list[str]
    overlays: tuple[Path, ...] = ()


def training_parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return a parser of the options that name a configuration and what overrides it.

    Args:
        command: Module name, for the usage line.
        description: First line of the help.
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
        "--platform",
        metavar="NAME",
        help="settings of a machine over those of the file: a file of configs/platform without .yaml (gh200, a100, "
        "h200, cpu), auto for the machine that this is, or the path of a file",
    )
    parser.add_argument(
        "--resume_from", metavar="CKPT", help="go on from a checkpoint; auto takes the run's last one if there is one"
    )
    parser.add_argument("--init_from", metavar="CKPT", help="start from the weights of a checkpoint where they fit")
    return parser


def training_options(parsed: argparse.Namespace) -> TrainingOptions:
    """Return what a parser of ``training_parser`` read."""
    assignments: list[str] = list(parsed.assignments)
    for key in ("resume_from", "init_from"):
        value: str | None = vars(parsed)[key]
        if value is not None:
            assignments.append(assignment(f"checkpoint.{key}", value))
    return TrainingOptions(parsed.config, assignments, platform_overlays(parsed.platform))


def platform_overlays(name: str | None) -> tuple[Path, ...]:
    """Return the files that a value of ``--platform`` names.

    Raises:
        ConfigError: If there is no such platform.
    """
    if name is None:
        return ()
    if name == "auto":
        from lib.training.platform import recognize_platform  # noqa: PLC0415

        kind = recognize_platform().kind
        name = OVERLAY_NAMES.get(kind, kind)
        if name == "gpu":
            return ()
    if "/" in name or name.endswith((".yaml", ".yml")):
        return (Path(name),)
    path = PLATFORM_FOLDER / f"{name}.yaml"
    if not path.exists():
        known = [file.stem for file in PLATFORM_FOLDER.glob("*.yaml")]
        raise ConfigError(f"--platform {name}: no such platform; nearest: {nearest(name, known)}, or auto, or a file.")
    return (path,)


def parse_training_options(command: str, description: str, arguments: Sequence[str]) -> TrainingOptions:
    """Parse the command line of a training; the arguments are what follows the command."""
    return training_options(training_parser(command, description).parse_args(arguments))
