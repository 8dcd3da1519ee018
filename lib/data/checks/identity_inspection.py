"""Events that stand more than once, or in both splits."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np

from lib.data.checks.finding import Finding
from lib.data.choice.event_identity import (
    EventKeys,
    Matches,
    common_events,
    content_branches,
    event_keys,
    repeated_events,
)
from lib.data.files.location import InputPath, RemotePath
from lib.data.trees.schema import BranchPlan, FileSchema
from lib.data.trees.source import EventReader
from lib.errors import DataError

TRAIN, VALIDATION = "data.train_path", "data.val_path"


def path_findings(files_of: Mapping[str, Sequence[InputPath]]) -> Iterator[Finding]:
    """Yield files that are named repeatedly, and those of both splits, whatever name or link leads to them."""
    for setting, files in files_of.items():
        seen: set[tuple[int, int] | str] = set()
        for file in files:
            if file_identity(file) in seen:
                yield Finding("warning", setting, f"{file} is named more than once; it is read once.")
            seen.add(file_identity(file))
    train = {file_identity(file) for file in files_of.get(TRAIN, ())}
    common = [file for file in files_of.get(VALIDATION, ()) if file_identity(file) in train]
    if common:
        names = ", ".join(str(file) for file in common[:5])
        message = (
            f"{len(common)} files are also used for training: {names}. Split the files; scores would be flattered."
        )
        yield Finding("error", VALIDATION, message, {"common_files": len(common)})


def event_findings(files_of: Mapping[str, Sequence[FileSchema]], plan: BranchPlan) -> Iterator[Finding]:
    """Yield events that stand repeatedly in a split, or in both splits.

    Args:
        files_of: Checked files of each split; files of both splits are not looked at once more.
        plan: Supplies the tree and the photon counts.
    """
    truth = content_branches([file for files in files_of.values() for file in files])
    readers = {setting: EventReader(files, plan) for setting, files in files_of.items()}
    try:
        keys = {setting: event_keys(files, readers[setting], truth) for setting, files in files_of.items() if files}
        for setting, one in keys.items():
            yield from _repetitions(setting, one, readers[setting])
        if TRAIN in keys and VALIDATION in keys:
            yield from _overlap(keys[TRAIN], keys[VALIDATION], readers)
    except DataError as error:
        yield Finding("error", "run and event", str(error))
    finally:
        for reader in readers.values():
            reader.close()


def _repetitions(setting: str, keys: EventKeys, reader: EventReader) -> Iterator[Finding]:
    if keys.numbers is None:
        yield Finding("note", setting, "not all files number their events, so repetitions are sought by truth alone.")
    by_number = repeated_events(keys.numbers) if keys.numbers is not None else None
    by_content = repeated_events(keys.content) if keys.content is not None else None
    if by_content is not None and by_content.count:
        same = _num_same_photons(by_content, keys, keys, reader, reader)
        message = (
            f"{by_content.count} events have the truth of an earlier one: {_pairs(by_content, keys, keys)}. "
            f"{_verdict(same, len(by_content.examples))} They count more often than others; make the files anew."
        )
        yield Finding("warning", setting, message, {"repeated_content": by_content.count})
    elif by_number is not None and by_number.count:
        same = _num_same_photons(by_number, keys, keys, reader, reader)
        advice = "They count more often than others." if same else "Numbers start anew; tell events apart by file."
        message = (
            f"{by_number.count} events have run and event number of an earlier one: "
            f"{_pairs(by_number, keys, keys)}. {_verdict(same, len(by_number.examples))} {advice}"
        )
        yield Finding("warning", setting, message, {"repeated_numbers": by_number.count})


def _overlap(train: EventKeys, validation: EventKeys, readers: Mapping[str, EventReader]) -> Iterator[Finding]:
    for kind, first, second in (
        ("truth", train.content, validation.content),
        ("run and event number", train.numbers, validation.numbers),
    ):
        if first is None or second is None:
            continue
        matches = common_events(first, second)
        if not matches.count:
            continue
        same = _num_same_photons(matches, train, validation, readers[TRAIN], readers[VALIDATION])
        if kind != "truth" and not same and train.content is not None:
            message = f"{matches.count} events have numbers that training events have too, but they are others."
            yield Finding("note", VALIDATION, message, {"common_numbers": matches.count})
            continue
        message = (
            f"{matches.count} events have the {kind} of a training event: {_pairs(matches, train, validation)}. "
            f"{_verdict(same, len(matches.examples))} Split by run; scores would be flattered."
        )
        yield Finding("error", VALIDATION, message, {"common_events": matches.count})
        return


def _num_same_photons(
    matches: Matches, first: EventKeys, second: EventKeys, first_reader: EventReader, second_reader: EventReader
) -> int:
    """Return how many of the examples have equal photon counts, as far as they can be read."""
    same = 0
    for one, other in matches.examples.tolist():
        photons = []
        for keys, reader, position in ((first, first_reader, one), (second, second_reader, other)):
            index, entry = keys.locate(position)
            # What cannot be read is told of where values are looked at.
            with suppress(DataError):
                photons.append(reader.read(index, entry, entry + 1).npho)
        same += int(len(photons) == 2 and np.array_equal(photons[0], photons[1], equal_nan=True))
    return same


def _pairs(matches: Matches, first: EventKeys, second: EventKeys) -> str:
    shown = [f"{second.name(other)} like {first.name(one)}" for one, other in matches.examples[:2].tolist()]
    return "; ".join(shown) + (", ..." if matches.count > len(shown) else "")


def _verdict(same: int, examined: int) -> str:
    return f"{same} of {examined} examples have the same photon counts too."


def file_identity(path: InputPath) -> tuple[int, int] | str:
    """Return what a file is, whatever name or link leads to it: its inode, or its name where there is none."""
    if isinstance(path, RemotePath):
        return str(path)
    try:
        status = path.stat()
    except OSError:
        # Somebody removed it meanwhile; reading says so.
        return str(path)
    return status.st_dev, status.st_ino
