"""Which events of the files are used, and a ledger of those that are not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import UVW
from lib.data.schema import BranchPlan, FileSchema
from lib.data.source import EventReader
from lib.errors import DataError
from lib.geometry.coordinates import Fiducial


@dataclass(frozen=True, eq=False)
class FileSelection:
    """The used events of one file.

    Attributes:
        file: The file; all its entries were looked at.
        entries: Selected entries, ascending, shape (selected,); None selects all.
    """

    file: FileSchema
    entries: NDArray[np.int64] | None

    @property
    def num_selected(self) -> int:
        """Events that are used."""
        return self.file.num_entries if self.entries is None else len(self.entries)

    @property
    def num_cut(self) -> int:
        """Events that are not used."""
        return self.file.num_entries - self.num_selected

    def selected_between(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the selected entries in [start, stop), ascending."""
        if self.entries is None:
            return np.arange(start, stop)
        first, last = np.searchsorted(self.entries, (start, stop))
        return self.entries[first:last]


def select_events(files: Sequence[FileSchema], plan: BranchPlan, fiducial: Fiducial | None) -> list[FileSelection]:
    """Return the used events of each file.

    Args:
        files: Checked files; with a fiducial volume they must hold ``uvwTruth``.
        plan: Supplies the tree.
        fiducial: Keep only events whose true first interaction lies inside; None keeps all and reads nothing.

    Raises:
        DataError: If no event remains, with the counts.
    """
    if fiducial is None:
        return [FileSelection(file, None) for file in files]
    reader = EventReader(files, plan)
    try:
        inside = [np.flatnonzero(fiducial.contains(reader.read_truth(index, UVW))) for index in range(len(files))]
    finally:
        reader.close()
    selections = [FileSelection(file, entries) for file, entries in zip(files, inside, strict=True)]
    if not any(selection.num_selected for selection in selections):
        raise DataError(
            f"No event is left after the fiducial cut: {sum(file.num_entries for file in files)} read from "
            f"{len(files)} files, all cut by |u| < {fiducial.u_max}, |v| < {fiducial.v_max}, w > {fiducial.w_min} cm. "
            f"Widen or remove data.fiducial, and check the units of {UVW}."
        )
    return selections
