"""Batches of one dataset in an order that is a function of the epoch alone."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

from lib.data.batch import EventBatch
from lib.data.choice.admission import admit_files
from lib.data.choice.balance import EventDraw, EveryEvent, balance
from lib.data.choice.binning import expressions_of
from lib.data.choice.quarantine import LedgerRow, Quarantine
from lib.data.choice.reweighting import reweight
from lib.data.choice.selection import EventCuts, FileSelection, select_events
from lib.data.config import DataConfig
from lib.data.files.paths import resolve_paths
from lib.data.normalization import Normalization
from lib.data.npho_count import NphoCount
from lib.data.packed.cache import cached_files
from lib.data.packed.cache_settings import CacheSettings
from lib.data.packed.packed_stream import PackedStream
from lib.data.pools.root_stream import RootStream
from lib.data.trees.schema import BranchPlan
from lib.errors import DataError

logger = logging.getLogger(__name__)


class EventStream(Protocol):
    """Batches of the selected events of some files (``lib.training.protocol.BatchStream``).

    Attributes:
        selections: Ledger of selected and cut events of each file, in the order of the files.
        num_events: Selected events.
    """

    selections: Sequence[FileSelection]
    num_events: int

    @property
    def batches_per_epoch(self) -> int:
        """How many batches ``epoch`` yields from the start."""
        ...

    def ledger(self) -> list[LedgerRow]:
        """Return where the events of each file went, as far as they have been asked for."""
        ...

    def npho_count(self) -> NphoCount | None:
        """Return the sums over the last epoch, as far as it was used; None unless ``data.log_invalid_npho``."""
        ...

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[EventBatch]:
        """Yield the batches of one epoch from a position on, without reading those before it.

        Args:
            epoch: Number of the epoch, from 0.
            first_batch: Batches that are left out at its start.

        Raises:
            DataError: If a file can no longer be read, naming file, branch and entries.
            RuntimeError: If another epoch of this stream was begun before this one was used up.
        """
        ...


def open_stream(
    config: DataConfig,
    normalization: Normalization,
    truth_branches: Sequence[str],
    *,
    split: Literal["train", "validation"],
    seed: int,
) -> EventStream:
    """Return the checked batches of one split.

    Training batches are shuffled and the last incomplete one is dropped; validation batches keep the order of files
    and entries, and the last one is filled up with rows of weight 0. So all batches have one shape.

    Args:
        config: The data section of the configuration.
        normalization: Applied to every event.
        truth_branches: Truth that the task needs.
        split: Which of the two paths is read.
        seed: Of the order and of ``EventBatch.seed``.

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
    quarantine = Quarantine(config, selections, admission.refused)
    draw: EventDraw = EveryEvent(selections)
    if training and config.balance:
        draw = balance(selections, plan, config.balance, seed=seed)
    used = BranchPlan.from_config(config, truth_branches)
    if config.cache == "off" or config.cache_dir is None:
        return RootStream(
            selections,
            draw,
            config,
            normalization=normalization,
            plan=used,
            quarantine=quarantine,
            seed=seed,
            training=training,
        )
    settings = CacheSettings(Path(config.cache_dir), used, normalization, config.num_threads, config.compiled)
    packed = cached_files(files, settings, build=config.cache == "auto")
    return PackedStream(
        selections,
        draw,
        packed,
        config,
        normalization=normalization,
        plan=used,
        quarantine=quarantine,
        seed=seed,
        training=training,
    )


def required_branches(config: DataConfig, truth_branches: Sequence[str]) -> BranchPlan:
    """Return the branches that must be there: those of the batches, and those that selection and weights look at."""
    cuts = EventCuts.from_config(config).branches
    binned = [
        one for histogram in (config.reweighting, config.balance) if histogram for one in expressions_of(histogram)
    ]
    looked_at = [*cuts, *(item for quantity in binned for item in quantity.components.items())]
    plan = BranchPlan.from_config(config, truth_branches)
    return replace(plan, cut_branches=tuple(dict.fromkeys(looked_at)))
