"""Which events of the files are used, and a ledger of those that are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.data.branches import ENERGY, UVW
from lib.data.choice.expression import Expression, parse_expression
from lib.data.config import DataConfig
from lib.data.trees.schema import BranchPlan, FileSchema
from lib.data.trees.source import EventReader
from lib.errors import DataError
from lib.geometry.coordinates import Fiducial


@dataclass(frozen=True, eq=False)
class FileSelection:
    """The used events of one file.

    Attributes:
        file: The file; all its entries were looked at.
        entries: Selected entries, ascending, shape (selected,); None selects all.
        weights: Weight of each selected entry, shape (selected,), float32; None for 1.
    """

    file: FileSchema
    entries: NDArray[np.int64] | None
    weights: NDArray[np.float32] | None = None

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

    def weights_between(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return the weights of the selected entries in [start, stop)."""
        if self.weights is None:
            return np.ones(len(self.selected_between(start, stop)), np.float32)
        if self.entries is None:
            return self.weights[start:stop]
        first, last = np.searchsorted(self.entries, (start, stop))
        return self.weights[first:last]


@dataclass(frozen=True)
class EventCuts:
    """What an event must fulfil to be used.

    Attributes:
        fiducial: Volume of the true first interaction; None for everywhere.
        energy_range: Bounds of the true energy in GeV, both included; None for all.
        expression: Expression that is true for used events; None for all.
    """

    fiducial: Fiducial | None = None
    energy_range: tuple[float, float] | None = None
    expression: Expression | None = None

    @classmethod
    def from_config(cls, config: DataConfig) -> "EventCuts":
        """Return the cuts of a configuration."""
        bounds = None if config.energy_range is None else (config.energy_range[0], config.energy_range[1])
        return cls(config.fiducial_volume(), bounds, parse_expression(config.cut) if config.cut else None)

    @property
    def branches(self) -> list[tuple[str, int | None]]:
        """Branches that are looked at, with the highest component; see ``BranchPlan``."""
        branches: list[tuple[str, int | None]] = []
        if self.fiducial:
            branches.append((UVW, 2))
        if self.energy_range:
            branches.append((ENERGY, None))
        return branches + (list(self.expression.components.items()) if self.expression else [])

    def accept(self, values: Mapping[str, NDArray[np.float64]], count: int) -> NDArray[np.bool_]:
        """Return which of ``count`` events are used, given the branches, shape (count, width) each."""
        accepted = np.ones(count, np.bool_)
        if self.fiducial:
            accepted &= self.fiducial.contains(values[UVW])
        if self.energy_range:
            energy = values[ENERGY][:, 0]
            accepted &= (energy >= self.energy_range[0]) & (energy <= self.energy_range[1])
        if self.expression:
            accepted &= self.expression.evaluate(values).astype(np.bool_)
        return accepted

    def __str__(self) -> str:
        parts = []
        if self.fiducial:
            it = self.fiducial
            parts.append(f"data.fiducial |u| < {it.u_max}, |v| < {it.v_max}, w > {it.w_min} cm")
        if self.energy_range:
            parts.append(f"data.energy_range {self.energy_range[0]} to {self.energy_range[1]} GeV")
        if self.expression:
            parts.append(f"data.cut {self.expression.text!r}")
        return " and ".join(parts)


def select_events(files: Sequence[FileSchema], plan: BranchPlan, cuts: EventCuts) -> list[FileSelection]:
    """Return the used events of each file.

    Args:
        files: Checked files; they must hold what the cuts look at.
        plan: Supplies the tree.
        cuts: Without any, nothing is read.

    Raises:
        DataError: If no event remains, with the counts.
    """
    names = list(dict(cuts.branches))
    if not str(cuts):
        return [FileSelection(file, None) for file in files]
    reader = EventReader(files, plan)
    selections = []
    try:
        for index, file in enumerate(files):
            values = {name: reader.read_whole(index, name) for name in names}
            selections.append(FileSelection(file, np.flatnonzero(cuts.accept(values, file.num_entries))))
    finally:
        reader.close()
    if not any(selection.num_selected for selection in selections):
        raise DataError(
            f"No event is left: {sum(file.num_entries for file in files)} read from {len(files)} files, all cut by "
            f"{cuts}. Widen or remove the cut, and check the units of {', '.join(names)}."
        )
    return selections
