"""Trying in a child process what might take the training down."""

import os
from pathlib import Path

import pytest

from lib.training.machine import probes
from lib.training.machine.probes import Answer, probe_compiler, probe_workers, remembered, try_in_child

SLEEP = "import time; time.sleep(60)"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_child_that_ends_well_works() -> None:
    assert try_in_child(["-c", "print('fine')"], seconds=30) == Answer(True)


def test_the_last_line_of_a_traceback_is_the_reason() -> None:
    answer = try_in_child(["-c", "raise RuntimeError('Cannot find a working triton installation')"], seconds=30)
    assert answer == Answer(False, "RuntimeError: Cannot find a working triton installation")


def test_a_child_that_is_killed_does_not_work() -> None:
    answer = try_in_child(["-c", "import os; os.kill(os.getpid(), 9)"], seconds=30)
    assert answer == Answer(False, "it ended with code -9")


def test_a_child_that_hangs_is_ended_with_its_children() -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
    assert try_in_child(["-c", nested], seconds=0.5) == Answer(False, "it did not end within 0 s")


def test_a_child_that_takes_too_much_memory_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MEMORY_SHARE", 1e-7)
    answer = try_in_child(["-c", SLEEP], seconds=30)
    assert not answer.works
    assert "GB of memory" in answer.reason


def test_a_machine_is_asked_once() -> None:
    asked = []

    def probe() -> Answer:
        asked.append(1)
        return Answer(False, "no")

    assert [remembered("q", probe), remembered("q", probe)] == [Answer(False, "no")] * 2
    assert len(asked) == 1
    remembered("another", probe)
    assert len(asked) == 2


def test_a_spoilt_memory_is_asked_anew(tmp_path: Path) -> None:
    remembered("q", lambda: Answer(True))
    for path in (tmp_path / "xec-ml" / "probes").iterdir():
        path.write_text("{")
    assert remembered("q", lambda: Answer(False, "now")) == Answer(False, "now")


def test_an_answer_that_cannot_be_kept_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probes, "_answer_path", lambda question: Path(os.devnull) / "answer.json")
    assert remembered("q", lambda: Answer(True)) == Answer(True)


@pytest.mark.slow
def test_two_spawned_processes_load_tensors() -> None:
    assert probe_workers() == Answer(True)


@pytest.mark.slow
@pytest.mark.compile
def test_this_machine_compiles() -> None:
    assert probe_compiler("cpu", "default") == Answer(True)


def test_a_mode_that_does_not_exist_is_no_trial() -> None:
    answer = try_in_child(["-m", "lib.training.machine.compiler_trial", "cpu", "fast"], seconds=60)
    assert answer.reason == "usage: python -m lib.training.machine.compiler_trial DEVICE MODE"
