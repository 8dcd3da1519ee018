"""Look for everything that is wrong with a configuration, its files and its checkpoints before a training starts."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command
from lib.cli.options import training_options, training_parser
from lib.cli.schemas import SCHEMAS, TrainingConfiguration
from lib.config.document import Document, read_document
from lib.config.loading import validate
from lib.config.overrides import apply_overrides
from lib.errors import ConfigError, nearest

if TYPE_CHECKING:
    from lib.data.inspection import Finding


def main(arguments: Sequence[str]) -> int:
    """Parse, check, tell."""
    parser = training_parser("lib.check", __doc__ or "")
    parser.add_argument("--kind", choices=sorted(SCHEMAS), help="which training, where the file does not say")
    parser.add_argument("--json", action="store_true", help="one JSON object per finding")
    parsed = parser.parse_args(arguments)
    options = training_options(parsed)
    config = _load(options.config, options.assignments, parsed.kind)
    # Torch takes seconds to import; mistakes in the configuration need not wait for it.
    from lib.cli.preflight import preflight  # noqa: PLC0415

    findings = preflight(config)
    sys.stdout.write("".join(_line(finding, as_json=parsed.json) for finding in findings))
    num_errors = sum(finding.severity == "error" for finding in findings)
    if not parsed.json:
        sys.stdout.write(f"{options.config}: {num_errors or 'no'} error{'s' if num_errors != 1 else ''} found\n")
    return EXIT_USER_ERROR if num_errors else EXIT_DONE


def _load(path: Path, assignments: list[str], kind: str | None) -> TrainingConfiguration:
    document = apply_overrides(read_document(path), assignments)
    return validate(SCHEMAS[kind or _kind_of(document, path)], document)


def _kind_of(document: Document, path: Path) -> str:
    """Return which training a configuration is for: what it says itself, else the name of its folder.

    Raises:
        ConfigError: If neither names a training.
    """
    declared = document.data.get("kind", path.absolute().parent.name)
    if not isinstance(declared, str) or declared not in SCHEMAS:
        raise ConfigError(
            f"{path}: which training is it for? Expected a line 'kind: ...' with one of {', '.join(SCHEMAS)}, got "
            f"{declared!r}; nearest: {nearest(str(declared), SCHEMAS)}. Or say it by --kind."
        )
    return declared


def _line(finding: "Finding", *, as_json: bool) -> str:
    if as_json:
        return json.dumps(asdict(finding)) + "\n"
    return f"{finding.severity:8s}{finding.place}: {finding.message}\n"


if __name__ == "__main__":
    sys.exit(run_command(main))
