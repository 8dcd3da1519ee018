"""How long a rank works on its share of each step, without what it waits for others."""

import time
from collections import deque

import torch

KEPT_STEPS = 1000
"""Steps that are remembered if nobody asks."""


class OwnTime:
    """Sums stretches of work into seconds per step; on a GPU it is the device's time, read when it is asked for.

    Args:
        device: Where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._stretches: list[tuple[_Moment, _Moment]] = []
        self._steps: deque[list[tuple[_Moment, _Moment]]] = deque(maxlen=KEPT_STEPS)
        self._begin: _Moment | None = None

    def begin_step(self) -> None:
        """Forget the stretches of a step that was not finished."""
        self._begin = None
        self._stretches = []

    def start(self) -> None:
        """Begin a stretch."""
        self._begin = self._now()

    def stop(self) -> None:
        """End the stretch under way, if there is one."""
        if self._begin is not None:
            self._stretches.append((self._begin, self._now()))
        self._begin = None

    def step_done(self) -> None:
        """Let the stretches since ``begin_step`` count as one step."""
        self._steps.append(self._stretches)
        self._stretches = []

    def take(self) -> list[float]:
        """Return seconds of every step since the last call, and forget them; waits for the device."""
        steps, self._steps = list(self._steps), deque(maxlen=KEPT_STEPS)
        return [sum(_between(first, last) for first, last in stretches) for stretches in steps]

    def _now(self) -> "_Moment":
        if not self._is_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


_Moment = float | torch.cuda.Event


def _between(first: _Moment, last: _Moment) -> float:
    if isinstance(first, torch.cuda.Event) and isinstance(last, torch.cuda.Event):
        last.synchronize()
        return float(first.elapsed_time(last)) / 1e3
    assert isinstance(first, float) and isinstance(last, float)
    return last - first
