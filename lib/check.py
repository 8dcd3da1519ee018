"""Look for everything that is wrong with a configuration, its files and its checkpoints before a training starts."""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command
from lib.cli.options import TrainingOptions, training_options, training_parser
from lib.cli.schemas import SCHEMAS, TrainingConfiguration
from lib.config.document import Document
from lib.config.loading import load_document, validate
from lib.errors import ConfigError, nearest

if TYPE_CHECKING:
    from lib.cli.preflight import Preflight
    from lib.data.checks.finding import Finding
    from lib.data.choice.quarantine import LedgerRow

HEADINGS = {"error": "Errors: a training would not start", "warning": "Warnings: probably mistakes", "note": "Notes"}
# A thousand files may have the same fault a thousand times; --json lists all.
MOST_SHOWN = 20
_WIDTH = 110


def main(arguments: Sequence[str]) -> int:
    """Parse, check, tell."""
    parsed = _parse(arguments)
    options = training_options(parsed)
    config = _load(options, parsed.kind)
    # Torch takes seconds to import; mistakes in the configuration need not wait for it.
    from lib.cli.preflight import preflight  # noqa: PLC0415

    result = preflight(config, everything=parsed.full)
    lines = _json_lines(result) if parsed.json else _text_lines(result)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    counts = {severity: sum(one.severity == severity for one in result.findings) for severity in HEADINGS}
    failed = _try_training(config, as_json=parsed.json) if parsed.train_checks and not counts["error"] else 0
    if not parsed.json:
        sys.stdout.write(f"{options.config}: {_counted(counts['error'], 'error')}, ")
        sys.stdout.write(f"{_counted(counts['warning'], 'warning')}")
        sys.stdout.write(f", {_counted(failed, 'failed check')}\n" if parsed.train_checks else "\n")
    return EXIT_USER_ERROR if counts["error"] or failed else EXIT_DONE


def _try_training(config: TrainingConfiguration, *, as_json: bool) -> int:
    """Tell the verdict of each check of the training as it comes, and return how many failed."""
    from lib.cli.train_trial import build_trial  # noqa: PLC0415
    from lib.tasks.train_checks import train_checks  # noqa: PLC0415

    failed = 0
    for verdict in train_checks(build_trial(config)):
        failed += not verdict.passed
        if as_json:
            text = json.dumps({**asdict(verdict), "number": verdict.number if isfinite(verdict.number) else None})
        else:
            start = f"  {'ok' if verdict.passed else 'FAILED':6s}  {verdict.check}: {verdict.number:.4g}: "
            text = textwrap.fill(start + verdict.words, _WIDTH, subsequent_indent="            ")
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    return failed


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = training_parser("lib.check", __doc__ or "")
    parser.add_argument("--kind", choices=sorted(SCHEMAS), help="which training, where the file does not say")
    parser.add_argument("--full", action="store_true", help="read the sensors of all events, not of a sample")
    parser.add_argument(
        "--train-checks", action="store_true", help="try on a few events whether the training can learn; about a minute"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per finding and per file")
    return parser.parse_args(arguments)


def _load(options: TrainingOptions, kind: str | None) -> TrainingConfiguration:
    document = load_document(options.config, options.assignments, options.overlays)
    return validate(SCHEMAS[kind or _kind_of(document, options.config)], document)


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


def _json_lines(result: "Preflight") -> Iterator[str]:
    for finding in result.findings:
        yield json.dumps({**asdict(finding), "values": dict(finding.values)})
    for setting, rows in result.ledger.items():
        for row in rows:
            yield json.dumps({"ledger": setting, **asdict(row)})


def _text_lines(result: "Preflight") -> Iterator[str]:
    for severity, heading in HEADINGS.items():
        some = [finding for finding in result.findings if finding.severity == severity]
        if not some:
            continue
        yield heading
        for finding in some[:MOST_SHOWN]:
            yield _text(finding)
        if len(some) > MOST_SHOWN:
            yield f"  ... and {len(some) - MOST_SHOWN} more; --json lists all"
        yield ""
    for setting, rows in result.ledger.items():
        yield from _ledger_lines(setting, rows)
        yield ""


def _text(finding: "Finding") -> str:
    text = f"{finding.place}: {finding.message}"
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)


def _ledger_lines(setting: str, rows: "Sequence[LedgerRow]") -> Iterator[str]:
    """Yield the events of each file, those that lose some first, and their sums."""
    names = [field.name for field in fields(rows[0]) if field.name != "path"] if rows else []
    yield f"Events of {setting}: " + (" = ".join((names[0], " + ".join(names[1:]))) if names else "none")
    shown = sorted(rows, key=lambda row: row.used == row.read)[:MOST_SHOWN]
    table = [([getattr(row, name) for name in names], row.path) for row in shown]
    if len(rows) > len(shown):
        table.append(([sum(getattr(row, name) for row in rows) for name in names], f"all {len(rows)} files"))
    for numbers, path in table:
        yield "  " + "".join(f"{name} {number:<9d} " for name, number in zip(names, numbers, strict=True)) + path


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    sys.exit(run_command(main))
