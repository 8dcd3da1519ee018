"""The best that a device can do."""

import pytest
import torch

from lib.training.machine.peak import measured_tflops, peak_tflops


def test_a_cpu_is_measured() -> None:
    assert 1e-5 < measured_tflops(torch.float32, size=64, repetitions=2) < 1e3


@pytest.mark.parametrize(("name", "expected"), [("NVIDIA H200", 989.0), ("NVIDIA A100-SXM4-40GB", 312.0), ("T4", None)])
def test_a_known_gpu_is_looked_up(monkeypatch: pytest.MonkeyPatch, name: str, expected: float | None) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_tflops(torch.device("cuda"), torch.bfloat16) == expected
