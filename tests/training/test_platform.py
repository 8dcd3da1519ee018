"""Recognizing the machine."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib.training import platform as module
from lib.training.platform import (
    Platform,
    gpu_names,
    platform_kind,
    recognize_platform,
    slurm_allocation,
)

GIB = 2**30


@pytest.mark.parametrize(
    ("machine", "name", "kind"),
    [
        ("x86_64", "NVIDIA A100-SXM4-40GB", "a100"),
        ("x86_64", "NVIDIA H100 80GB HBM3", "h100"),
        ("x86_64", "NVIDIA H200", "h200"),
        ("aarch64", "NVIDIA GH200 480GB", "gh200"),
        ("aarch64", "NVIDIA H100 96GB HBM3", "gh200"),
        ("x86_64", "Tesla T4", "gpu"),
    ],
)
def test_cards_and_processor_tell_the_machine(machine: str, name: str, kind: str) -> None:
    assert platform_kind(machine, (name,)) == kind


def test_without_a_card_it_is_a_cpu() -> None:
    assert platform_kind("aarch64", ()) == "cpu"


def test_cards_are_read_from_the_driver(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
        text = f"Model: \t\t NVIDIA H200\nIRQ:   \t\t {number}\n"
        (tmp_path / f"0000:0{number}:00.0" / "information").write_text(text)
    assert gpu_names(tmp_path) == ("NVIDIA H200", "NVIDIA H200")


def test_without_the_drivers_folder_its_tool_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *given, **named: SimpleNamespace(stdout="NVIDIA A100\n\n"))
    assert gpu_names(tmp_path) == ("NVIDIA A100",)

    def missing(*given: Any, **named: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", missing)
    assert gpu_names(tmp_path) == ()


def test_a_slurm_job_says_what_it_has() -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_NTASKS": "8", "SLURM_CPUS_PER_TASK": "16"}
    found = slurm_allocation(job | {"SLURM_MEM_PER_NODE": "1024"})
    assert found is not None
    assert (found.job_id, found.nodes, found.tasks, found.cores, found.memory_bytes) == ("7", 2, 8, 16, GIB)
    by_core = slurm_allocation(job | {"SLURM_MEM_PER_CPU": "512", "SLURM_CPUS_ON_NODE": "4"})
    assert by_core is not None
    assert by_core.memory_bytes == 2 * GIB
    whole = slurm_allocation({"SLURM_JOB_ID": "7", "SLURM_MEM_PER_NODE": "0"})
    assert whole is not None
    assert (whole.memory_bytes, whole.cores, whole.tasks) == (None, None, 1)
    assert slurm_allocation({}) is None


def test_limits_of_the_job_and_of_the_container_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_names", tuple)
    monkeypatch.setattr(module, "_MEMORY_LIMIT", tmp_path / "memory.max")
    free = recognize_platform({}).memory_bytes
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert recognize_platform({}).memory_bytes == GIB < free
    (tmp_path / "memory.max").write_text("max\n")
    assert recognize_platform({}).memory_bytes == free
    job = {"SLURM_JOB_ID": "7", "SLURM_MEM_PER_NODE": "512", "SLURM_CPUS_PER_TASK": "1"}
    found = recognize_platform(job)
    assert (found.kind, found.memory_bytes, found.cores) == ("cpu", GIB // 2, 1)
    assert "SLURM job 7" in found.describe()


def test_a_machine_is_described_in_words() -> None:
    node = Platform("gh200", "aarch64", ("NVIDIA GH200 480GB",), 72, 480 * GIB, None)
    assert node.describe() == "gh200 (aarch64, 1 x NVIDIA GH200 480GB, 72 cores, 480 GiB)"
    assert node.is_arm
