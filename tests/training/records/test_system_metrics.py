"""What a training takes of its machine."""

import time

import torch

from lib.training.epoch_sums import CLOCK_METRICS
from lib.training.records.system_metrics import SystemMeter


def test_a_busy_process_uses_cores() -> None:
    meter = SystemMeter()
    time.sleep(0.05)
    assert meter.read()["system/cpu_cores"] >= 0
    begin = time.process_time()
    while time.process_time() < begin + 0.02:
        torch.ones(100).sum()
    assert meter.read()["system/cpu_cores"] > 0


def test_memory_is_some_gib_and_all_names_are_known_to_differ() -> None:
    metrics = SystemMeter().read()
    assert 0.01 < metrics["system/host_memory_gib"] < 1000
    assert metrics.keys() <= CLOCK_METRICS
