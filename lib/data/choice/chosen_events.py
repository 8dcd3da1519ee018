"""The events of one split: those that are used, how often, and in whose order."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lib.data.choice.admission import admit_files
from lib.data.choice.balance import EventDraw, EveryEvent, balance
from lib.data.choice.binning import expressions_of
from lib.data.choice.quarantine import Quarantine
from lib.data.choice.reweighting import reweight
from lib.data.choice.selection import EventCuts, FileSelection, select_events
from lib.data.config import DataConfig
from lib.data.files.paths import resolve_paths
from lib.data.trees.schema import BranchPlan
from lib.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChosenEvents:
    """What every form of a stream needs to know of its events.

    Attributes:
        selections: The selected events of checked files, sorted by name.
        draw: Which of them each epoch holds, as many as are selected.
        plan: Branches that batches carry.
        quarantine: Notes what cannot be read.
        seed: Of the order and of ``EventBatch.seed``.
        training: Whether to shuffle and to drop the last incomplete batch, or to keep the order and fill it up.
    """

    selections: Sequence[FileSelection]
    draw: EventDraw
    plan: BranchPlan
    quarantine: Quarantine
    seed: int
    training: bool

    @property
    def num_events(self) -> int:
        """Selected events."""
        return sum(selection.num_selected for selection in self.selections)

    def num_batches(self, size: int) -> int:
        """Return how many batches of a size an epoch has."""
        whole, rest = divmod(self.num_events, size)
        return whole if self.training or not rest else whole + 1


def choose_events(
    config: DataConfig, truth_branches: Sequence[str], *, split: Literal["train", "validation"], seed: int
) -> ChosenEvents:
    """Check the files of a split and return the events that are used; ``open_stream`` says more.

    Raises:
        DataError: With every problem of every file, or if too few events are left.
    """
    plan = required_branches(config, truth_branches)
    admission = admit_files(resolve_paths(config.train_path if split == "train" else config.val_path), plan, config)
    files = admission.files
    selections = select_events(files, plan, EventCuts.from_config(config))
    num_events = sum(selection.num_selected for selection in selections)
    logger.info("%s: %d of %d events in %d files", split, num_events, sum(f.num_entries for f in files), len(files))
    training = split == "train"
    if training and config.reweighting:
        selections = reweight(selections, plan, config.reweighting)
    if training and num_events < config.batch_size:
        raise DataError(
            f"data.train_path: {num_events} selected events in {len(files)} files are fewer than one batch of "
            f"{config.batch_size}. Lower data.batch_size or give more files."
        )
    draw: EventDraw = EveryEvent(selections)
    if training and config.balance:
        draw = balance(selections, plan, config.balance, seed=seed)
    quarantine = Quarantine(config, selections, admission.refused)
    used = BranchPlan.from_config(config, truth_branches)
    return ChosenEvents(selections, draw, used, quarantine, seed, training)


def required_branches(config: DataConfig, truth_branches: Sequence[str]) -> BranchPlan:
    """Return the branches that must be there: those of the batches, and those that selection and weights look at."""
    cuts = EventCuts.from_config(config).branches
    binned = [
        one for histogram in (config.reweighting, config.balance) if histogram for one in expressions_of(histogram)
    ]
    looked_at = [*cuts, *(item for quantity in binned for item in quantity.components.items())]
    plan = BranchPlan.from_config(config, truth_branches)
    return replace(plan, cut_branches=tuple(dict.fromkeys(looked_at)))
