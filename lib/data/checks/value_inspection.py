"""Values of the sensors and of the truth, looked at in a sample or in all events, against what they ought to be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from lib.data.branches import EMISSION_ANGLE, ENERGY, INVALID_ABOVE, TIME_TRUTH, UVW
from lib.data.checks.finding import Finding, Severity
from lib.data.normalization import Normalization
from lib.data.trees.schema import BranchPlan, FileSchema
from lib.data.trees.source import EventReader, RawChunk
from lib.errors import DataError

# Two stretches of each file, one of them at its start, of at most so many files, evenly taken.
SAMPLE_EVENTS = 32
SAMPLE_FILES = 100
_EVENTS_AT_ONCE = 512

# A trigger window lasts a microsecond, so a time in seconds is far below this and a time in ns far above.
LATEST_TIME_S = 1e-3
# Runs lose a few per cent of the sensors.
MIN_VALID_SHARE = 0.5
# The 99th percentile of the photon count is about two of the default npho_scale in 15-60 MeV photons.
LEAST_SCALES, MOST_SCALES = 0.03, 30.0
# Network inputs are meant to be of order one; bounds for the 99th percentile of the photon channel.
SMALLEST_INPUT, LARGEST_INPUT = 0.01, 5.0
# Twice the lengths, and several times the energies, that the detector sees.
_LARGEST_ENERGY_GEV, _LARGEST_LENGTH_CM = 1.0, 200.0


@dataclass(frozen=True)
class FileSample:
    """Which events of a file are looked at: ranges of entries."""

    file_index: int
    ranges: Sequence[tuple[int, int]]


@dataclass
class ValueReport:
    """What looking at values gave.

    Attributes:
        findings: What is odd.
        num_files: Files that were looked at.
        num_events: Events that were looked at.
        bad_entries: Entries that cannot be read, by index of the file.
    """

    findings: list[Finding] = field(default_factory=list)
    num_files: int = 0
    num_events: int = 0
    bad_entries: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


def choose_sample(files: Sequence[FileSchema], *, everything: bool) -> list[FileSample]:
    """Return which events are looked at; everything, or a sample that depends on the number of entries alone."""
    if everything:
        return [FileSample(index, _stretches(file)) for index, file in enumerate(files)]
    chosen = np.unique(np.linspace(0, len(files) - 1, min(len(files), SAMPLE_FILES)).round().astype(int))
    return [FileSample(int(index), _two_stretches(files[index].num_entries)) for index in chosen]


def inspect_values(
    files: Sequence[FileSchema],
    plan: BranchPlan,
    normalization: Normalization,
    samples: Sequence[FileSample],
    *,
    unreadable: Severity,
) -> ValueReport:
    """Look at the values of some events.

    Args:
        files: Checked files.
        plan: The branches.
        normalization: Against which photon counts are held.
        samples: Which events.
        unreadable: How bad events are that cannot be read.
    """
    report = ValueReport(num_files=len(samples))
    reader = EventReader(files, plan)
    for sample in samples:
        place = str(files[sample.file_index].path)
        chunks = []
        for start, stop in sample.ranges:
            try:
                chunk = reader.read(sample.file_index, start, stop)
            except DataError as error:
                report.bad_entries.setdefault(sample.file_index, []).append((start, stop))
                report.findings.append(Finding(unreadable, place, str(error), {"start": start, "stop": stop}))
                continue
            report.num_events += len(chunk)
            chunks.append(_Sums.of(chunk, plan, normalization))
        if chunks:
            report.findings += _Sums.joined(chunks).findings(place, plan, normalization)
    reader.close()
    return report


def _stretches(file: FileSchema) -> list[tuple[int, int]]:
    """Return all entries, cut where baskets end: one that is damaged spoils no other."""
    edges = file.basket_edges.tolist()
    return [
        (first, min(first + _EVENTS_AT_ONCE, last))
        for start, last in pairwise(edges)
        for first in range(start, last, _EVENTS_AT_ONCE)
    ]


def _two_stretches(num_entries: int) -> list[tuple[int, int]]:
    if num_entries <= 2 * SAMPLE_EVENTS:
        return [(0, num_entries)]
    start = int(np.random.Generator(np.random.PCG64(num_entries)).integers(SAMPLE_EVENTS, num_entries - SAMPLE_EVENTS))
    return [(0, SAMPLE_EVENTS), (start, start + SAMPLE_EVENTS)]


@dataclass(frozen=True, eq=False)
class _Sums:
    """What is kept of some events: counts, and a sorted sample of the valid photon counts.

    Attributes:
        sensors: Sensors times events.
        broken: NaN or infinite photon counts and times, shape (2,).
        sentinels: Photon counts and times beyond 9e9, shape (2,).
        npho_valid: Valid photon counts.
        time_valid: Usable times.
        npho: Some thousand valid photon counts.
        latest: Largest usable |time|.
        truth: Largest absolute value of each component of the truth, by branch.
    """

    sensors: int
    broken: NDArray[np.int64]
    sentinels: NDArray[np.int64]
    npho_valid: int
    time_valid: int
    npho: NDArray[np.float32]
    latest: float
    truth: dict[str, NDArray[np.float32]]

    @classmethod
    def of(cls, raw: RawChunk, plan: BranchPlan, normalization: Normalization) -> "_Sums":
        """Return the sums of a chunk."""
        _, _, npho_valid, time_valid = (
            part.numpy() for part in normalization.channels(torch.from_numpy(raw.npho), torch.from_numpy(raw.time))
        )
        arrays = (raw.npho, raw.time)
        with np.errstate(invalid="ignore"):
            broken = np.array([np.count_nonzero(~np.isfinite(values)) for values in arrays])
            sentinels = np.array([np.count_nonzero(np.abs(values) > INVALID_ABOVE) for values in arrays])
        infinite = np.array([np.count_nonzero(np.isinf(values)) for values in arrays])
        valid = raw.npho[npho_valid]
        times = np.abs(raw.time[time_valid])
        return cls(
            raw.npho.size,
            broken,
            sentinels - infinite,
            len(valid),
            len(times),
            valid[:: max(1, len(valid) // 4096)],
            float(times.max()) if len(times) else 0.0,
            {name: np.abs(values).max(axis=0) for name, values in raw.truth.items() if name in plan.truth_branches},
        )

    @classmethod
    def joined(cls, parts: Sequence["_Sums"]) -> "_Sums":
        """Return the sums of several chunks."""
        return cls(
            sum(part.sensors for part in parts),
            np.sum([part.broken for part in parts], axis=0),
            np.sum([part.sentinels for part in parts], axis=0),
            sum(part.npho_valid for part in parts),
            sum(part.time_valid for part in parts),
            np.concatenate([part.npho for part in parts]),
            max(part.latest for part in parts),
            {name: np.max([part.truth[name] for part in parts], axis=0) for name in parts[0].truth},
        )

    def findings(self, place: str, plan: BranchPlan, normalization: Normalization) -> Iterator[Finding]:
        """Yield what is odd about a file."""
        names = (plan.npho_branch, plan.time_branch)
        shares = {f"{name}_{kind}": float(count) / self.sensors
                  for kind, counts in (("broken", self.broken), ("sentinel", self.sentinels))
                  for name, count in zip(names, counts, strict=True)}  # fmt: skip
        yield Finding("note", place, self._summary(names), shares)
        for name, broken in zip(names, self.broken, strict=True):
            if broken:
                share = f"{100 * broken / self.sensors:.3g}"
                message = f"{share} % of the values of {name!r} are NaN or infinite; they count as no value."
                yield Finding("warning", place, message)
        yield from self._share_findings(place, plan, normalization)
        if len(self.npho):
            yield from _scale_findings(place, self.npho, plan, normalization)
        yield from _truth_findings(place, self.truth)

    def _summary(self, names: tuple[str, str]) -> str:
        parts = [
            f"{name!r}: {100 * sentinel / self.sensors:.3g} % without value (1e10)"
            for name, sentinel in zip(names, self.sentinels, strict=True)
        ]
        if len(self.npho):
            low, middle, high = np.percentile(self.npho, (1, 50, 99))
            parts.append(f"1 %, 50 % and 99 % of the photon counts lie below {low:.3g}, {middle:.3g} and {high:.3g}")
        return "; ".join(parts) + "."

    def _share_findings(self, place: str, plan: BranchPlan, normalization: Normalization) -> Iterator[Finding]:
        valid_share = self.npho_valid / self.sensors
        if valid_share < MIN_VALID_SHARE:
            message = (
                f"only {100 * valid_share:.3g} % of the sensors have a {plan.npho_branch!r}. Is this the right branch?"
            )
            yield Finding("warning", place, message)
        if not self.time_valid:
            message = f"no sensor has a usable {plan.time_branch!r} with normalization.npho_threshold "
            yield Finding("warning", place, f"{message}{normalization.npho_threshold}.")
        elif self.latest > LATEST_TIME_S:
            message = f"{plan.time_branch!r} reaches {self.latest:.3g}, but times are seconds."
            yield Finding("warning", place, f"{message} Are these ns? Convert the file.")


def _scale_findings(
    place: str, npho: NDArray[np.float32], plan: BranchPlan, normalization: Normalization
) -> Iterator[Finding]:
    inputs = normalization.channels(torch.from_numpy(npho), torch.zeros(len(npho)))[0].numpy()
    high, largest = (float(np.percentile(values, 99)) for values in (npho, inputs))
    scales = high / normalization.npho_scale
    if SMALLEST_INPUT < largest < LARGEST_INPUT and LEAST_SCALES < scales < MOST_SCALES:
        return
    message = (
        f"the 99th percentile of {plan.npho_branch!r}, {high:.3g}, is {scales:.3g} of normalization.npho_scale "
        f"{normalization.npho_scale:g} and becomes a network input of {largest:.3g}; expected {LEAST_SCALES} to "
        f"{MOST_SCALES:g} scales and {SMALLEST_INPUT} to {LARGEST_INPUT:g}. Is the scale meant for another branch?"
    )
    yield Finding("warning", place, message)


def _truth_findings(place: str, largest: dict[str, NDArray[np.float32]]) -> Iterator[Finding]:
    """Yield truth that is not finite, or whose largest values suit another unit."""
    for name, values in largest.items():
        if not np.isfinite(values).all():
            message = f"{name!r} holds NaN or infinite values, which spoil their batch. Exclude them by data.cut."
            yield Finding("warning", place, message)
        elif odd := _odd_unit(name, float(values.max())):
            yield Finding("warning", place, f"{name!r} reaches {values.max():.3g}, but {odd}? Convert the file.")


def _odd_unit(name: str, top: float) -> str:
    """Return in which unit truth should be and in which it seems to be; empty when it fits."""
    if name == TIME_TRUTH and top > LATEST_TIME_S:
        return "times are seconds. Are these ns"
    if name == ENERGY and top > _LARGEST_ENERGY_GEV:
        return "energies are GeV. Are these MeV"
    if name == UVW and top > _LARGEST_LENGTH_CM:
        return "lengths are cm. Are these mm"
    if name == EMISSION_ANGLE and 0 < top <= np.pi:
        return "angles are degrees. Are these radians"
    return ""
