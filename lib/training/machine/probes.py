"""Questions that only a try can answer, asked in a child process: whatever it does, the training lives on."""

import hashlib
import json
import logging
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from lib.atomic import atomic_path
from lib.user_cache import user_cache_folder

logger = logging.getLogger(__name__)

MEMORY_SHARE = 0.8
"""Share of the free memory that a child may take."""
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Answer:
    """What a probe found.

    Attributes:
        works: Whether it did.
        reason: Why not; empty if it did.
    """

    works: bool
    reason: str = ""


Probe = Callable[[], Answer]


def try_in_child(arguments: list[str], *, seconds: float) -> Answer:
    """Run this Python with arguments and return whether it ended well, in time and within the free memory.

    Args:
        arguments: What follows the interpreter, such as ``-m`` and a module.
        seconds: How long it may take.
    """
    limit = MEMORY_SHARE * psutil.virtual_memory().available
    begin = time.monotonic()
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        while child.poll() is None:
            taken = _resident_bytes(child.pid)
            if taken > limit:
                _kill_family(child.pid)
                return Answer(False, f"it took {taken / 1e9:.1f} GB of memory")
            if time.monotonic() - begin > seconds:
                _kill_family(child.pid)
                return Answer(False, f"it did not end within {seconds:.0f} s")
            time.sleep(LOOK_SECONDS)
        # The last line of a traceback names the error.
        lines = child.stderr.read().strip().splitlines() if child.stderr else []
    if child.returncode == 0:
        return Answer(True)
    return Answer(False, lines[-1][:300] if lines else f"it ended with code {child.returncode}")


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []


def _resident_bytes(pid: int) -> int:
    total = 0
    for process in _family(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _kill_family(pid: int) -> None:
    for process in _family(pid):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def remembered(question: str, probe: Probe) -> Answer:
    """Return the answer that this machine gave with the present versions before, or ask and remember it.

    Args:
        question: Tells one probe from another.
        probe: Asked when there is no answer yet.
    """
    path = _answer_path(question)
    try:
        return Answer(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        answer = probe()
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(answer)), encoding="utf-8")
    except OSError as error:
        logger.info("%s: the answer of a probe cannot be kept (%s)", path, error)
    return answer


def _answer_path(question: str) -> Path:
    """Return where an answer is kept; nodes of one kind share a home, so the name of the machine is part of it."""
    facts = (question, platform.node(), platform.machine(), platform.python_version(), version("torch"))
    return user_cache_folder() / "probes" / f"{hashlib.sha256(' '.join(facts).encode()).hexdigest()[:16]}.json"


def probe_compiler(device: str, mode: str) -> Answer:
    """Return whether torch.compile works in a mode: five minutes for a small network, forward and backward."""
    return try_in_child(["-m", "lib.training.machine.compiler_trial", device, mode], seconds=300.0)


def probe_workers() -> Answer:
    """Return whether two spawned loader processes give batches within half a minute."""
    return try_in_child(["-m", "lib.training.machine.worker_trial"], seconds=30.0)
