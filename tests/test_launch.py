"""Processes under torchrun, and what their launcher makes of how they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.cli.entry import EXIT_REQUEUE, EXIT_USER_ERROR
from lib.launch import EXIT_FAILED, joint_code, main

PROJECT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([1], EXIT_FAILED),
        ([2, 2], EXIT_USER_ERROR),
        ([75, 1], EXIT_REQUEUE),
        # The one that was killed is the reason why the other failed.
        ([1, -9], EXIT_REQUEUE),
        ([3, 75], 3),
        ([1, -15], EXIT_FAILED),
        ([-15], EXIT_REQUEUE),
    ],
)
def test_a_verdict_on_the_training_outweighs_a_lost_process(codes, code):
    assert joint_code(codes) == code


def test_the_launcher_needs_a_command(capsys):
    assert main([]) == EXIT_USER_ERROR
    assert main(["--help"]) == 0
    assert "torchrun" in capsys.readouterr().out


def launch(folder: Path, body: str) -> "subprocess.Popen[str]":
    (folder / "work.py").write_text(f"import os, pathlib, signal, sys, time\nrank = int(os.environ['RANK'])\n{body}\n")
    command = [sys.executable, "-W", "ignore", "-m", "lib.launch", "--standalone", "--nproc_per_node=2", "work.py"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("sys.exit(0)", 0),
        ("sys.exit(2)", EXIT_USER_ERROR),
        ("os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else time.sleep(60)", EXIT_REQUEUE),
        ("sys.exit(1) if rank == 1 else time.sleep(60)", EXIT_FAILED),
    ],
)
def test_the_launcher_ends_with_the_code_of_its_processes(tmp_path, body, code):
    process = launch(tmp_path, body)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Traceback" not in error


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_to_the_launcher_reaches_its_processes_and_asks_for_another_start(tmp_path, number):
    body = (
        "def note(number, frame):\n    pathlib.Path(f'{rank}.told').write_text(str(number)); sys.exit(75)\n"
        "signal.signal(signal.SIGUSR1, note); signal.signal(signal.SIGTERM, note)\n"
        "pathlib.Path(f'{rank}.ready').touch(); time.sleep(60)"
    )
    process = launch(tmp_path, body)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.ready"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == EXIT_REQUEUE, error
    assert [(tmp_path / f"{rank}.told").read_text() for rank in (0, 1)] == [str(int(number))] * 2
