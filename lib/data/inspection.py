"""What is found in the input files before a training starts: ``lib.check`` shows it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lib.data.cache import CacheSettings, find_faults
from lib.data.config import DataConfig, NormalizationConfig
from lib.data.location import InputPath
from lib.data.normalization import Normalization
from lib.data.paths import matching_files
from lib.data.schema import BranchPlan, FileReport, FileSchema, examine_files
from lib.data.selection import EventCuts, select_events
from lib.data.source import EventReader, RawChunk
from lib.data.stream import required_branches
from lib.errors import DataError

SAMPLE_EVENTS = 64

# A trigger window lasts a microsecond, so a time in seconds is far below this and a time in ns far above.
LATEST_TIME_S = 1e-3
# Runs lose a few per cent of the sensors.
MIN_VALID_SHARE = 0.5
# Network inputs are meant to be of order one; bounds for the 99th percentile of the photon channel.
SMALLEST_INPUT, LARGEST_INPUT = 0.01, 5.0


@dataclass(frozen=True)
class Finding:
    """Something to know about the input.

    Attributes:
        severity: An error stops the training, a warning is probably a mistake, a note is information.
        place: File, or the setting in question.
        message: What is there, and what to do.
    """

    severity: Literal["error", "warning", "note"]
    place: str
    message: str


def inspect_dataset(
    config: DataConfig, normalization: NormalizationConfig, truth_branches: Sequence[str]
) -> list[Finding]:
    """Return everything worth knowing about the files of both splits, errors first.

    The first events of every file are read.

    Args:
        config: The data section of a configuration.
        normalization: The normalization section, against which values are held.
        truth_branches: Truth that the task needs.
    """
    plan = required_branches(config, truth_branches)
    findings: list[Finding] = []
    files_of: dict[str, list[InputPath]] = {}
    for setting, path in (("data.train_path", config.train_path), ("data.val_path", config.val_path)):
        try:
            files = matching_files(path)
        except DataError as error:
            findings.append(Finding("error", setting, str(error)))
            continue
        findings += _repetitions(setting, files)
        files_of[setting] = sorted({file.resolve(): file for file in reversed(files)}.values())
        reports = examine_files(files_of[setting], plan)
        findings += [finding for report in reports for finding in _schema_findings(report)]
        usable = [report.schema for report in reports if report.schema]
        findings += _sample_findings(usable, plan, Normalization.from_config(normalization))
        findings += _selection_findings(setting, usable, plan, config)
        findings += _cache_findings(setting, usable, config, Normalization.from_config(normalization))
    findings += _overlap(files_of)
    return sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.severity))


def _repetitions(setting: str, files: list[InputPath]) -> Iterator[Finding]:
    seen: set[InputPath] = set()
    for file in files:
        if file.resolve() in seen:
            yield Finding("warning", setting, f"{file} is named more than once; it is read once.")
        seen.add(file.resolve())


def _overlap(files_of: dict[str, list[InputPath]]) -> Iterator[Finding]:
    train = {file.resolve() for file in files_of.get("data.train_path", [])}
    common = [file for file in files_of.get("data.val_path", []) if file.resolve() in train]
    if common:
        names = ", ".join(str(file) for file in common[:5])
        message = (
            f"{len(common)} files are also used for training: {names}. Split the files; scores would be flattered."
        )
        yield Finding("error", "data.val_path", message)


def _schema_findings(report: FileReport) -> Iterator[Finding]:
    for problem in report.problems:
        yield Finding("error", str(report.path), problem)
    for conversion in report.conversions:
        yield Finding("note", str(report.path), conversion)


def _selection_findings(
    setting: str, files: list[FileSchema], plan: BranchPlan, config: DataConfig
) -> Iterator[Finding]:
    try:
        selections = select_events(files, plan, EventCuts.from_config(config)) if files else []
    except DataError as error:
        yield Finding("error", setting, str(error))
        return
    selected, cut = (sum(s.num_selected for s in selections), sum(s.num_cut for s in selections))
    yield Finding("note", setting, f"{selected} events selected, {cut} cut, in {len(files)} usable files.")
    if setting == "data.train_path" and selected < config.batch_size:
        message = f"{selected} selected events are fewer than one batch of {config.batch_size}. Lower data.batch_size."
        yield Finding("error", setting, message)


def _cache_findings(
    setting: str, files: list[FileSchema], config: DataConfig, normalization: Normalization
) -> Iterator[Finding]:
    if config.cache == "off" or config.cache_dir is None or not files:
        return
    settings = CacheSettings(Path(config.cache_dir), BranchPlan.from_config(config, ()), normalization)
    faults = find_faults(files, settings)
    if not faults:
        yield Finding("note", setting, f"all {len(files)} files are in the cache {config.cache_dir}.")
    elif config.cache == "auto":
        yield Finding("note", setting, f"{len(faults)} of {len(files)} files are packed at the start of the training.")
    else:
        message = f"{len(faults)} of {len(files)} files cannot be taken from the cache: {next(iter(faults.values()))}"
        yield Finding("error", setting, f"{message} Run python macro/build_cache.py.")


def _sample_findings(files: list[FileSchema], plan: BranchPlan, normalization: Normalization) -> Iterator[Finding]:
    reader = EventReader(files, plan)
    for index, file in enumerate(files):
        try:
            raw = reader.read(index, 0, min(SAMPLE_EVENTS, file.num_entries))
        except DataError as error:
            yield Finding("error", str(file.path), str(error))
            continue
        yield from _value_findings(str(file.path), raw, plan, normalization)
    reader.close()


def _value_findings(place: str, raw: RawChunk, plan: BranchPlan, normalization: Normalization) -> Iterator[Finding]:
    npho, time = torch.from_numpy(raw.npho), torch.from_numpy(raw.time)
    x, valid = normalization.apply(npho, time)
    npho_valid, time_valid = valid.unbind(-1)
    for name, values in ((plan.npho_branch, npho), (plan.time_branch, time)):
        broken = 1.0 - values.isfinite().double().mean().item()
        if broken:
            message = f"{100 * broken:.3g} % of the values of {name!r} are NaN or infinite; they count as no value."
            yield Finding("warning", place, message)
    valid_share = npho_valid.double().mean().item()
    if valid_share < MIN_VALID_SHARE:
        message = (
            f"only {100 * valid_share:.3g} % of the sensors have a {plan.npho_branch!r}. Is this the right branch?"
        )
        yield Finding("warning", place, message)
    if npho_valid.any():
        yield from _scale_findings(place, npho[npho_valid], x[..., 0][npho_valid], plan, normalization)
    if time_valid.any():
        yield from _time_findings(place, time[time_valid].abs().max().item(), plan)
    else:
        message = f"no sensor has a usable {plan.time_branch!r} with normalization.npho_threshold "
        yield Finding("warning", place, f"{message}{normalization.npho_threshold}.")


def _scale_findings(
    place: str, npho: Tensor, inputs: Tensor, plan: BranchPlan, normalization: Normalization
) -> Iterator[Finding]:
    high, largest = (float(np.percentile(values.numpy(), 99)) for values in (npho, inputs))
    if not SMALLEST_INPUT < largest < LARGEST_INPUT:
        message = (
            f"the 99th percentile of {plan.npho_branch!r}, {high:.3g}, becomes a network input of {largest:.3g}, "
            f"expected {SMALLEST_INPUT} to {LARGEST_INPUT}. Is normalization.npho_scale {normalization.npho_scale} "
            "meant for another branch?"
        )
        yield Finding("warning", place, message)


def _time_findings(place: str, latest: float, plan: BranchPlan) -> Iterator[Finding]:
    if latest > LATEST_TIME_S:
        message = f"{plan.time_branch!r} reaches {latest:.3g}, but times are seconds. Are these ns? Convert the file."
        yield Finding("warning", place, message)
