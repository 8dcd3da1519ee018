"""What is found in the input files before a training starts: ``lib.check`` shows it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lib.data.checks.finding import Finding, Severity, by_severity
from lib.data.checks.identity_inspection import TRAIN, VALIDATION, event_findings, file_identity, path_findings
from lib.data.checks.value_inspection import SAMPLE_EVENTS, SAMPLE_FILES, choose_sample, inspect_values
from lib.data.choice.chosen_events import required_branches
from lib.data.choice.order import MIN_BLOCK
from lib.data.choice.quarantine import LedgerRow
from lib.data.choice.selection import EventCuts, FileSelection, select_events
from lib.data.config import DataConfig, NormalizationConfig
from lib.data.files.location import InputPath
from lib.data.files.paths import matching_files
from lib.data.normalization import Normalization
from lib.data.packed.cache_inspection import cache_findings
from lib.data.pools.root_stream import MAX_POOL_EVENTS
from lib.data.trees.schema import BranchPlan, FileReport, FileSchema, examine_files
from lib.errors import DataError


@dataclass
class DatasetReport:
    """What is known of the files of both splits.

    Attributes:
        findings: Everything worth knowing, errors first.
        ledger: Where the events of each file go, by split; quarantined as far as it is known.
        num_events: Events that are used, by split.
    """

    findings: list[Finding] = field(default_factory=list)
    ledger: dict[str, list[LedgerRow]] = field(default_factory=dict)
    num_events: dict[str, int] = field(default_factory=dict)


def inspect_dataset(
    config: DataConfig,
    normalization: NormalizationConfig,
    truth_branches: Sequence[str],
    *,
    everything: bool = False,
) -> DatasetReport:
    """Look at the files of both splits.

    Schemas, sizes, selection, and the run, event and truth of every event are exact. Values of sensors are those of a
    sample.

    Args:
        config: The data section of a configuration.
        normalization: The normalization section, against which values are held.
        truth_branches: Truth that the task needs.
        everything: Whether the values of all events are looked at.
    """
    plan = required_branches(config, truth_branches)
    transform = Normalization.from_config(normalization)
    report = DatasetReport()
    paths = _matching(config, report)
    report.findings += path_findings(paths)
    usable: dict[str, list[FileSchema]] = {}
    for setting, files in paths.items():
        distinct = sorted({file_identity(file): file for file in reversed(files)}.values())
        reports = examine_files(distinct, plan)
        report.findings += [finding for one in reports for finding in _schema_findings(one, _severity(config))]
        usable[setting] = [one.schema for one in reports if one.schema]
        bad = _look_at_values(setting, usable[setting], plan, transform, config, report, everything=everything)
        refused = [LedgerRow(str(one.path), one.num_entries, 0, 0, one.num_entries) for one in reports if one.problems]
        _select(setting, usable[setting], plan, config, report, bad=bad, refused=refused)
        report.findings += cache_findings(setting, usable[setting], config, transform)
    report.findings += event_findings(_without_common(usable), plan)
    report.findings = by_severity(report.findings)
    return report


def _matching(config: DataConfig, report: DatasetReport) -> dict[str, list[InputPath]]:
    found = {}
    for setting, path in ((TRAIN, config.train_path), (VALIDATION, config.val_path)):
        try:
            found[setting] = matching_files(path)
        except DataError as error:
            report.findings.append(Finding("error", setting, str(error)))
    return found


def _severity(config: DataConfig) -> Severity:
    """Return how bad it is that something cannot be read."""
    return "warning" if config.on_bad == "quarantine" else "error"


def _schema_findings(report: FileReport, severity: Severity) -> Iterator[Finding]:
    for problem in report.problems:
        yield Finding(severity, str(report.path), problem)
    for conversion in report.conversions:
        yield Finding("note", str(report.path), conversion)


def _look_at_values(
    setting: str,
    files: list[FileSchema],
    plan: BranchPlan,
    normalization: Normalization,
    config: DataConfig,
    report: DatasetReport,
    *,
    everything: bool,
) -> dict[str, list[tuple[int, int]]]:
    """Add what is odd about values, and return the entries of each file that cannot be read."""
    if not files:
        return {}
    samples = choose_sample(files, everything=everything)
    values = inspect_values(files, plan, normalization, samples, unreadable=_severity(config))
    report.findings += values.findings
    scope = "all events" if everything else f"up to {2 * SAMPLE_EVENTS} events, at the start and at one other place,"
    message = (
        f"values of sensors and truth: {scope} of {values.num_files} of {len(files)} files, {values.num_events} in "
        f"all (of {SAMPLE_FILES} files at most without --full). Schemas, selection, repetitions: every event."
    )
    report.findings.append(Finding("note", setting, message, {"sampled_events": values.num_events}))
    bad = {str(files[index].path): ranges for index, ranges in values.bad_entries.items()}
    for path, start, stop in _reported_faults(config):
        bad.setdefault(path, []).append((start, stop))
    return bad


def _reported_faults(config: DataConfig) -> Iterator[tuple[str, int, int]]:
    """Yield what earlier runs wrote to the quarantine report; a report that cannot be read says nothing."""
    try:
        lines = Path(config.quarantine_report).read_text(encoding="utf-8").splitlines()
        faults = [json.loads(line) for line in lines] if config.on_bad == "quarantine" else []
        yield from [(fault["path"], fault["start"], fault["stop"]) for fault in faults]
    except (OSError, ValueError, LookupError, TypeError):
        return


def _select(
    setting: str,
    files: list[FileSchema],
    plan: BranchPlan,
    config: DataConfig,
    report: DatasetReport,
    *,
    bad: dict[str, list[tuple[int, int]]],
    refused: list[LedgerRow],
) -> None:
    """Add the ledger, and what is wrong with the selection."""
    try:
        selections = select_events(files, plan, EventCuts.from_config(config)) if files else []
    except DataError as error:
        report.findings.append(Finding("error", setting, str(error)))
        return
    rows = [_ledger_row(selection, bad.get(str(selection.file.path), ())) for selection in selections] + refused
    if refused and not files:
        report.findings.append(Finding("error", setting, f"not one of {len(refused)} files can be read."))
    report.ledger[setting] = rows
    used, cut, lost = (sum(getattr(row, name) for row in rows) for name in ("used", "cut", "quarantined"))
    quarantined = f", {lost} cannot be read" if lost else ""
    message = f"{used + lost} events selected, {cut} cut, in {len(files)} usable files{quarantined}."
    report.findings.append(Finding("note", setting, message, {"used": used, "cut": cut, "quarantined": lost}))
    report.num_events[setting] = used
    report.findings += _size_findings(setting, files, config, used + lost, lost)


def _ledger_row(selection: FileSelection, bad: Iterable[tuple[int, int]]) -> LedgerRow:
    lost = [selection.selected_between(start, stop) for start, stop in bad]
    count = len(np.unique(np.concatenate(lost))) if lost else 0
    file = selection.file
    return LedgerRow(str(file.path), file.num_entries, selection.num_selected - count, selection.num_cut, count)


def _size_findings(
    setting: str, files: list[FileSchema], config: DataConfig, selected: int, lost: int
) -> Iterator[Finding]:
    if setting == TRAIN and selected < config.batch_size:
        message = f"{selected} selected events are fewer than one batch of {config.batch_size}. Lower data.batch_size."
        yield Finding("error", setting, message)
    if config.on_bad == "quarantine" and lost > config.max_bad_share * selected:
        message = f"{lost} of {selected} events cannot be read, more than data.max_bad_share {config.max_bad_share:g}."
        yield Finding("error", setting, message)
    largest = max((int(np.diff(file.basket_edges).max()) for file in files), default=0)
    undivided = max(config.chunksize // 4, MIN_BLOCK)
    if config.cache == "off" and largest > undivided:
        message = (
            f"baskets hold up to {largest} events, and data.chunksize {config.chunksize} divides them into parts of "
            f"{undivided}, each of which decompresses the whole. Raise data.chunksize to {4 * largest} (at most "
            f"{MAX_POOL_EVENTS} are held), or set data.cache."
        )
        yield Finding("warning", setting, message, {"largest_basket": largest})


def _without_common(usable: dict[str, list[FileSchema]]) -> dict[str, list[FileSchema]]:
    """Return the files, those of validation that training has too left out: they are told of once."""
    train = {file_identity(file.path) for file in usable.get(TRAIN, ())}
    own = [file for file in usable.get(VALIDATION, ()) if file_identity(file.path) not in train]
    return {**usable, VALIDATION: own} if VALIDATION in usable else usable
