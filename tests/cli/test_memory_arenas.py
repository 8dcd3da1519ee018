"""Threads of a command share one heap, unless the user has said how many there shall be."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAPS = """
import ctypes, sys, threading
from lib.cli.entry import run_command

def allocate(barrier):
    kept = [ctypes.create_string_buffer(100) for _ in range(100)]
    barrier.wait()

def main(arguments):
    barrier = threading.Barrier(5)
    threads = [threading.Thread(target=allocate, args=(barrier,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    libc = ctypes.CDLL(None)
    libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
    libc.fflush(None)
    return 0

sys.exit(run_command(main, []))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="heaps are counted by glibc")
@pytest.mark.parametrize(("wanted", "heaps"), [(None, {1}), ("3", {2, 3})])
def test_threads_share_one_heap_unless_the_environment_says_otherwise(wanted: str | None, heaps: set[int]) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    environment |= {"MALLOC_ARENA_MAX": wanted} if wanted else {}
    done = subprocess.run(
        [sys.executable, "-c", HEAPS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert len(re.findall("<heap nr=", done.stdout)) in heaps
