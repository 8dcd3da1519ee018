"""torch.compile as a ladder: where a mode fails, the next simpler one is tried, down to no compilation."""

import logging
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn

from lib.errors import ConfigError
from lib.training.config import CompileMode
from lib.training.machine.compile_rungs import next_rung
from lib.user_cache import user_cache_folder

logger = logging.getLogger(__name__)

GRAPH_MODES = frozenset({"max-autotune", "reduce-overhead"})
"""Modes that replay CUDA graphs."""
SIGN_OF_LIFE_SECONDS = 30.0


def keep_compiled_kernels() -> None:
    """Keep what the compiler makes in the user's cache folder, so that the next run need not compile it again.

    Whoever sets ``TORCHINDUCTOR_CACHE_DIR`` is obeyed.
    """
    # Homes are shared among nodes of different processors.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(user_cache_folder() / f"inductor-{platform.machine()}"))


class CompileLadder:
    """A model in the highest mode that works.

    Attributes:
        mode: The rung it stands on.
        model: The model, compiled in this mode; shares its parameters with the one it was made from.
        reason: Why it stands lower than it was asked to; empty if it does not.

    Args:
        model: The model as it is.
        mode: Where to begin.
        fullgraph: Refuse graph breaks.
    """

    def __init__(self, model: nn.Module, mode: CompileMode, *, fullgraph: bool) -> None:
        self.mode = mode
        self.reason = ""
        self._eager = model
        self._fullgraph = fullgraph
        self._proven: set[bool] = set()
        if fullgraph and mode == "none":
            logger.warning("training.compile_fullgraph has no effect, because nothing is compiled")
        self.model = self._compiled()

    @property
    def replays_graphs(self) -> bool:
        """Whether outputs lie in memory that the next call overwrites."""
        return self.mode in GRAPH_MODES

    def _compiled(self) -> nn.Module:
        if self.mode == "none":
            return self._eager
        keep_compiled_kernels()
        # The compiled module is an nn.Module too, which torch's annotation does not say.
        return cast(nn.Module, torch.compile(self._eager, mode=self.mode, fullgraph=self._fullgraph, dynamic=False))

    @contextmanager
    def first_run(self) -> Iterator[None]:
        """Tell that compilation is under way, where it is, and remember that this form of the model has run."""
        form = self._eager.training
        if self.mode == "none" or form in self._proven:
            yield
            return
        what = f"{'training' if form else 'validation'} step in mode {self.mode}"
        logger.info("compiling the %s; the first time this takes minutes", what)
        begin = time.perf_counter()
        done = threading.Event()
        threading.Thread(target=_give_signs_of_life, args=(done, begin), daemon=True).start()
        try:
            yield
        finally:
            done.set()
        self._proven.add(form)
        logger.info("compiled the %s in %.0f s", what, time.perf_counter() - begin)

    def begin_call(self) -> None:
        """Let graphs that replay reuse the memory of what the model returned before."""
        if self.replays_graphs:
            torch.compiler.cudagraph_mark_step_begin()

    def expect_new_shape(self) -> None:
        """Note that batches change their shape, so that everything is compiled once more."""
        self._proven.clear()

    def fall(self, error: Exception) -> bool:
        """Go one rung down after a failure.

        Returns:
            False if this cannot have been the compiler's fault: nothing is compiled, or the same form has run before.

        Raises:
            ConfigError: If the failure is a graph break, and these are to be refused.
        """
        if isinstance(error, torch._dynamo.exc.Unsupported) and self._fullgraph:
            raise ConfigError(
                f"training.compile_fullgraph: the model cannot be compiled as one graph ({_first_line(error)}). "
                "Set it to false to allow graph breaks."
            ) from None
        if self.mode == "none" or (self._eager.training in self._proven and not _is_of_compiler(error)):
            return False
        lower = next_rung(self.mode)
        self.reason = f"{self.mode}: {type(error).__name__}: {_first_line(error)}"
        logger.warning("torch.compile failed in mode %s; going on with %s", self.reason, lower)
        self.mode = lower
        self._proven.clear()
        torch._dynamo.reset()
        self.model = self._compiled()
        return True


def _is_of_compiler(error: Exception) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton"))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")


def _give_signs_of_life(done: threading.Event, begin: float) -> None:
    while not done.wait(SIGN_OF_LIFE_SECONDS):
        logger.info("still compiling after %.0f s", time.perf_counter() - begin)
