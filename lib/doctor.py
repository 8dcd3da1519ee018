"""Tell what a training would find on this machine, what it would choose by itself, and what is missing."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command

if TYPE_CHECKING:
    from lib.cli.environment_facts import Fact

_SIGNS = {"fine": " ", "note": "!", "missing": "X"}


def main(arguments: Sequence[str]) -> int:
    """Look, tell, and say by the exit code whether a training can run: 0, or 2 where something needed is missing."""
    options = _parse(arguments)
    # Pydantic and torch take their time to import; the help need not wait for them.
    from lib.cli.environment_facts import gather_facts  # noqa: PLC0415

    facts = gather_facts(options.folder, probe=not options.no_probe)
    text = "".join(json.dumps(asdict(fact)) + "\n" for fact in facts) if options.json else as_text(facts)
    sys.stdout.write(text)
    return EXIT_USER_ERROR if any(fact.state == "missing" for fact in facts) else EXIT_DONE


def as_text(facts: Sequence["Fact"]) -> str:
    """Return the facts section by section; ``!`` marks what could be better, ``X`` what is missing."""
    lines = []
    for section, found in groupby(facts, key=lambda fact: fact.section):
        lines.append(section)
        for fact in found:
            lines.append(f"{_SIGNS[fact.state]}   {fact.name:18s} {fact.value}")
            if fact.advice:
                lines.append(f"{'':23s}{fact.advice}")
    missing = sum(fact.state == "missing" for fact in facts)
    lines.append(f"{missing} needed things are missing" if missing else "nothing that is needed is missing")
    return "\n".join(lines) + "\n"


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lib.doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object per fact")
    parser.add_argument("--folder", type=Path, default=Path(), help="where runs would be written")
    parser.add_argument("--no_probe", action="store_true", help="do not try torch.compile and loader processes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
