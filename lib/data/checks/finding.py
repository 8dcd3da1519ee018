"""What a check says about its input."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something to know about the input.

    Attributes:
        severity: An error stops the training, a warning is probably a mistake, a note is information.
        place: File, or the setting in question.
        message: What is there, and what to do.
        values: The numbers of the message by name, for programs.
    """

    severity: Severity
    place: str
    message: str
    values: Mapping[str, float | str] = field(default_factory=dict)


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Return errors, then warnings, then notes, each in their order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
