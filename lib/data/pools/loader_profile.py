"""Where the loader spends its time, and what helps when a training waits for it."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lib.data.npho_count import NphoCount

logger = logging.getLogger(__name__)

READ: Final = "read"
DECOMPRESS: Final = "decompress"
NORMALIZE: Final = "normalize"
BATCH: Final = "batch"
WAIT: Final = "wait"

# A training that waits longer than this share of its time is told what to do.
_TOLERATED_WAIT = 0.2

_ADVICE = {
    READ: "raise data.num_threads so that more is asked for at a time, copy the files to a local disk, or set "
    "data.cache: auto",
    DECOMPRESS: "raise data.num_threads, write the files with LZ4, or set data.cache: auto",
    NORMALIZE: "raise data.num_threads, install a C compiler if there is none, or set data.cache: auto",
    BATCH: "raise data.num_threads, or write the files with more events per basket",
}


class LoaderProfile:
    """Seconds spent in each phase, added up over threads.

    Attributes:
        seconds: ``read`` is waiting for the bytes of baskets from a disk or server, ``decompress`` unpacking them,
            ``normalize`` the pass that makes network inputs, ``batch`` truth and event numbers, ``wait`` what the
            training waited for all that.
        npho: Photon counts without a value, where they are counted.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys((*_ADVICE, WAIT), 0.0)
        self.npho = NphoCount()

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time within the block to a phase."""
        start = time.perf_counter()
        yield
        self.seconds[phase] += time.perf_counter() - start

    def move(self, source: str, target: str, seconds: float) -> None:
        """Count time that was measured as one phase as another, which was going on within it."""
        self.seconds[source] -= seconds
        self.seconds[target] += seconds

    def add(self, other: "LoaderProfile") -> None:
        """Add what another thread or process measured."""
        self.npho.add(other.npho)
        for phase, seconds in other.seconds.items():
            self.seconds[phase] += seconds

    def advice(self, total: float) -> str | None:
        """Return the bottleneck and what helps, or None when the training hardly waited.

        Args:
            total: Seconds from the first to the last batch.
        """
        share = self.seconds[WAIT] / total if total > 0 else 0.0
        if share <= _TOLERATED_WAIT:
            return None
        bottleneck = max(_ADVICE, key=lambda phase: self.seconds[phase])
        shown = ", ".join(f"{phase} {self.seconds[phase]:.2f} s" for phase in (*_ADVICE, WAIT))
        return (
            f"{100 * share:.0f} % of the time was spent waiting for data ({shown}; threads added up). "
            f"The bottleneck is {bottleneck}: {_ADVICE[bottleneck]}."
        )

    def tell(self, total: float) -> None:
        """Log the advice, if there is any."""
        advice = self.advice(total)
        if advice:
            logger.info("%s", advice)
