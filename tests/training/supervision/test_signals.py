"""Signals that ask a training to stop."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib.training.supervision.signals import STOPPING, StopRequest

SECOND_SIGNAL = """
import os, signal, sys
from lib.training.supervision.signals import StopRequest
stop = StopRequest()
with stop.listening():
    os.kill(os.getpid(), int(sys.argv[1]))
    assert stop.requested
    os.kill(os.getpid(), int(sys.argv[2]))
    print("survived")
"""


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_is_only_noted(number: int) -> None:
    stop = StopRequest()
    with stop.listening():
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested


def test_handlers_return_when_the_training_is_over() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    with StopRequest().listening():
        assert [signal.getsignal(number) for number in STOPPING] != before
    assert [signal.getsignal(number) for number in STOPPING] == before


def test_without_a_step_edge_to_wait_for_a_signal_interrupts_at_once() -> None:
    stop = StopRequest()
    with stop.listening():
        stop.interrupt_at_once()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_from_before_interrupts_when_there_is_no_more_step_edge() -> None:
    stop = StopRequest()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(KeyboardInterrupt):
            stop.interrupt_at_once()


@pytest.mark.parametrize("second", STOPPING)
def test_a_second_signal_kills_at_once(second: int) -> None:
    command = [sys.executable, "-c", SECOND_SIGNAL, str(int(signal.SIGTERM)), str(int(second))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -second
    assert "survived" not in done.stdout


SHIELDED_WORKER = """
import multiprocessing, signal, time
from lib.training.supervision.signals import STOPPING, start_shielded_server
def report(queue):
    queue.put(set(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
def sleep(seconds):
    time.sleep(seconds)
if __name__ == "__main__":
    start_shielded_server(["queue"])
    assert not set(signal.pthread_sigmask(signal.SIG_BLOCK, [])) & set(STOPPING)
    context = multiprocessing.get_context("forkserver")
    queue = context.SimpleQueue()
    process = context.Process(target=report, args=(queue,))
    process.start()
    assert set(STOPPING) <= queue.get()
    process.join()
    # Left running: it must not keep the process from ending.
    context.Process(target=sleep, args=(600,), daemon=True).start()
"""


def test_workers_of_the_shielded_server_are_deaf_to_the_signals(tmp_path: Path) -> None:
    # In a process of its own: a server that another test started would have the signals open.
    (tmp_path / "shielded.py").write_text(SHIELDED_WORKER)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, str(tmp_path / "shielded.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
