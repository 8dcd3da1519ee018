"""The modes of torch.compile from the most demanding to none."""

from lib.training.config import CompileMode

RUNGS: tuple[CompileMode, ...] = ("max-autotune", "reduce-overhead", "default", "none")


def next_rung(mode: CompileMode) -> CompileMode:
    """Return the next simpler mode; of ``none``, ``none``."""
    return RUNGS[min(RUNGS.index(mode) + 1, len(RUNGS) - 1)]
