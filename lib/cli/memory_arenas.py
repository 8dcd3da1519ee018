"""How many heaps the threads of a process share."""

import ctypes
import os

ARENAS = 1
M_ARENA_MAX = -8
"""Of mallopt in glibc's malloc.h."""


def limit_arenas() -> None:
    """Let all threads take memory from one heap, where glibc is the allocator.

    glibc gives threads heaps of their own, between which what they hand to each other (batches, records, checkpoints)
    is never returned: a training grows for its first hundred epochs. Large blocks, all of a batch, are mapped
    one by one in any case. ``MALLOC_ARENA_MAX`` and ``GLIBC_TUNABLES`` in the environment are obeyed instead.
    """
    if {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"} & os.environ.keys():
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
