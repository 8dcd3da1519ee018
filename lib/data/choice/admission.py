"""Which files are read at all: every one, or those that are sound where others may be left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.data.choice.quarantine import RefusedFile
from lib.data.choice.selection import EventCuts
from lib.data.config import DataConfig
from lib.data.files.location import InputPath
from lib.data.trees.schema import BranchPlan, FileSchema, check_files, examine_files
from lib.data.trees.source import EventReader
from lib.errors import DataError


@dataclass(frozen=True)
class Admission:
    """Files that are read, and those that are left out."""

    files: list[FileSchema]
    refused: list[RefusedFile]


def admit_files(paths: Sequence[InputPath], plan: BranchPlan, config: DataConfig) -> Admission:
    """Return the files that can serve.

    Args:
        paths: The files.
        plan: What they must hold.
        config: Says whether others may be left out, and what the selection looks at.

    Raises:
        DataError: With every problem of every file, unless they may be left out; if not one file can serve.
    """
    if config.on_bad == "error":
        return Admission(check_files(paths, plan), [])
    reports = examine_files(paths, plan)
    refused = [RefusedFile(str(one.path), one.num_entries, " ".join(one.problems)) for one in reports if one.problems]
    files = [one.schema for one in reports if one.schema]
    unreadable = _unreadable(files, plan, EventCuts.from_config(config))
    refused += [RefusedFile(str(file.path), file.num_entries, cause) for file, cause in unreadable]
    lost = {file.path for file, _ in unreadable}
    sound = [file for file in files if file.path not in lost]
    if not sound:
        raise DataError(f"not one of {len(paths)} files can be read. The last one: {refused[-1].cause}")
    return Admission(sound, refused)


def _unreadable(files: Sequence[FileSchema], plan: BranchPlan, cuts: EventCuts) -> list[tuple[FileSchema, str]]:
    """Return files whose selection cannot be decided, with the reason."""
    names = dict(cuts.branches)
    faults = []
    reader = EventReader(files, plan)
    for index, file in enumerate(files):
        try:
            for name in names:
                reader.read_whole(index, name)
        except DataError as error:
            faults.append((file, str(error)))
    reader.close()
    return faults
