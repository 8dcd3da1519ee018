"""Watches the memory of the host: says who takes it, gives up what is optional, and stops before the system does."""

import logging
from collections.abc import Callable

import psutil

from lib.training.supervision.memory_limit import MemoryUse, tightest_limit
from lib.training.supervision.supervision_config import MemoryConfig

logger = logging.getLogger(__name__)

TRAINING, LOADER, OTHERS = "the training process", "the loader processes", "other processes it started"
ADVICE = {
    TRAINING: "Set checkpoint.save_artifacts: false, or lower data.chunksize and data.batch_size.",
    LOADER: "Lower data.num_workers, data.prefetch_factor or data.chunksize.",
    OTHERS: "If these compile, set training.compile to a simpler mode.",
}
# A share of a large machine is still plenty.
_TIGHT_BYTES, _LAST_BYTES = 16 * 10**9, 4 * 10**9
# A warning is worth repeating when so much more of the limit is gone.
_REPEAT_SHARE = 0.02


class MemoryGuard:
    """Compares the memory in use with the nearest limit.

    Attributes:
        is_tight: Whether anything optional is to be left out.

    Args:
        config: Shares of the limit.
        stop: Asks the training to save itself and to end.
        limit: Tells what is used and what may be.
    """

    def __init__(
        self,
        config: MemoryConfig,
        stop: Callable[[], None],
        limit: Callable[[], MemoryUse | None] = tightest_limit,
    ) -> None:
        self.is_tight = False
        self._config = config
        self._stop = stop
        self._limit = limit
        self._first: dict[str, int] | None = None
        self._told_share = 0.0
        self._stopped = False

    def look(self) -> None:
        """Compare once; reads a few small files."""
        use = self._limit()
        if use is None:
            return
        if self._first is None:
            self._first = memory_by_component()
        left = use.limit - use.used
        self.is_tight = use.share >= self._config.warn_share and left < _TIGHT_BYTES
        if not self.is_tight:
            self._told_share = 0.0
            return
        if use.share >= self._told_share + _REPEAT_SHARE:
            self._told_share = use.share
            self._tell(use)
        is_last = use.share >= self._config.stop_share < 1 and left < _LAST_BYTES
        if is_last and not self._stopped:
            self._stopped = True
            logger.error("memory is all but gone: the training saves itself and ends, to be started again")
            self._stop()

    def _tell(self, use: MemoryUse) -> None:
        now = memory_by_component()
        grown = {name: size - (self._first or {}).get(name, 0) for name, size in now.items()}
        culprit = max(grown, key=lambda name: grown[name])
        shown = ", ".join(f"{name} {size / 1e9:.2f} GB ({grown[name] / 1e9:+.2f})" for name, size in now.items())
        logger.warning(
            "%.1f of %.1f GB that %s has are in use: %s. Most of the growth is that of %s. %s",
            use.used / 1e9,
            use.limit / 1e9,
            use.name,
            shown,
            culprit,
            ADVICE[culprit],
        )


def memory_by_component() -> dict[str, int]:
    """Return the resident bytes of this process, of its loader processes and of all others that it started."""
    sizes = {TRAINING: 0, LOADER: 0, OTHERS: 0}
    own = psutil.Process()
    for process in [own, *own.children(recursive=True)]:
        try:
            size = process.memory_info().rss
            name = TRAINING if process == own else LOADER if _is_loader(process) else OTHERS
        except psutil.Error:
            # It ended meanwhile.
            continue
        sizes[name] += size
    return sizes


def _is_loader(process: psutil.Process) -> bool:
    return any("forkserver" in part for part in process.cmdline())
