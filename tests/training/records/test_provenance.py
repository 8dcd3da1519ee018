"""What a result depends on."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lib.training.machine.device import choose_device
from lib.training.records import provenance as module
from lib.training.records.provenance import code_revision, environment


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Fast 1")
    monkeypatch.setattr(torch.backends.cuda, "matmul", SimpleNamespace(allow_tf32=False))
    monkeypatch.setattr(torch.backends, "cudnn", SimpleNamespace(allow_tf32=False))


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_serves() -> None:
    assert choose_device() == torch.device("cpu")
    assert environment()["device"] == "cpu"


@pytest.mark.usefixtures("no_gpu")
def test_the_cpu_computes_with_the_wanted_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = [1]
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    choose_device()
    assert environment()["threads"] == "1"
    choose_device(3)
    assert environment()["threads"] == "3"


@pytest.mark.usefixtures("fake_gpu")
def test_a_gpu_is_taken_if_there_is_one() -> None:
    assert choose_device() == torch.device("cuda")
    assert environment()["device"] == "Fast 1"
    assert torch.backends.cuda.matmul.allow_tf32


def test_the_environment_is_plain_text_that_checkpoints_may_hold() -> None:
    described = environment()
    assert {type(value) for value in described.values()} == {str}
    assert described["torch"] == torch.__version__


def test_the_revision_names_the_commit_and_marks_changed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "code.py").write_text("first")
    subprocess.run([*git, "add", "code.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    subprocess.run([*git, "tag", "v1"], check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "platform.py"))
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert code_revision() == commit[:12]
    (tmp_path / "code.py").write_text("second")
    assert code_revision() == commit[:12] + "+"


@pytest.mark.parametrize(
    "failure",
    [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 10), subprocess.CalledProcessError(128, "git")],
)
def test_outside_a_repository_the_revision_is_unknown(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def fail(*arguments: Any, **settings: Any) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", fail)
    assert code_revision() == "unknown"
