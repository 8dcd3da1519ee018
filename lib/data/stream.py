"""Batches of one dataset in an order that is a function of the epoch alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from lib.data.batch import EventBatch
from lib.data.choice.chosen_events import choose_events
from lib.data.choice.quarantine import LedgerRow
from lib.data.choice.selection import FileSelection
from lib.data.config import DataConfig
from lib.data.normalization import Normalization
from lib.data.npho_count import NphoCount
from lib.data.packed.cache import cached_files
from lib.data.packed.cache_settings import CacheSettings
from lib.data.packed.packed_stream import PackedStream
from lib.data.pools.root_stream import RootStream


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
    chosen = choose_events(config, truth_branches, split=split, seed=seed)
    if config.cache == "off" or config.cache_dir is None:
        return RootStream(chosen, config, normalization)
    settings = CacheSettings(Path(config.cache_dir), chosen.plan, normalization, config.num_threads, config.compiled)
    packed = cached_files([selection.file for selection in chosen.selections], settings, build=config.cache == "auto")
    return PackedStream(chosen, packed, config, normalization)
