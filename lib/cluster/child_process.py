"""A training in a process of its own, which hears the signals that its parent gets."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
LOOK_SECONDS = 0.5


def run_child(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[], bool] | None = None,
) -> int:
    """Run Python with these arguments and return its exit code; only the main thread can.

    Args:
        arguments: What follows the interpreter.
        environment: Variables beside those of this process.
        watch: Asked twice a second whether the child shall be told to stop.
    """
    child = subprocess.Popen([sys.executable, *arguments], env={**os.environ, **(environment or {})})

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of handlers
        # A child that is gone needs no signal.
        with suppress(ProcessLookupError):
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        return _wait(child, watch)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(child: "subprocess.Popen[bytes]", watch: Callable[[], bool] | None) -> int:
    told = False
    while child.poll() is None:
        if watch is not None and not told and watch():
            child.terminate()
            told = True
        time.sleep(LOOK_SECONDS / 10 if watch is None else LOOK_SECONDS)
    # A child that was killed by a signal has the shell's code for it.
    return child.returncode if child.returncode >= 0 else 128 - child.returncode
