"""How much memory a training will take."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lib.cli.assembly import Assembly, assemble
from lib.cli.memory_check import memory_findings
from lib.cli.memory_estimate import (
    EVENT_BYTES,
    ModelMemory,
    _group_limits,
    host_memory_bytes,
    loader_bytes,
    measure_model,
)
from lib.cli.schemas import RegressorConfig
from lib.data.config import DataConfig
from lib.data.normalization import Normalization

MODEL = {
    "stage_dims": (4,),
    "stage_depths": (1,),
    "inner_patch": 4,
    "encoder_dim": 8,
    "num_heads": 2,
    "dim_feedforward": 8,
    "num_fusion_layers": 1,
    "hidden_dim": 4,
}


def configured(**sections: Any) -> RegressorConfig:
    data = {"train_path": "a", "val_path": "b", **sections.pop("data", {})}
    values = {"data": data, "model": MODEL, "tasks": {"energy": {}}, **sections}
    return RegressorConfig.model_validate(values)


def parts_of(config: RegressorConfig) -> Assembly:
    return assemble(config, Normalization.from_config(config.normalization))


def measured(**training: Any) -> tuple[ModelMemory, Assembly]:
    config = configured(training=training)
    parts = parts_of(config)
    return measure_model(parts.model, parts.task, config.training), parts


def test_weights_count_five_times_and_each_event_by_what_it_keeps() -> None:
    memory, parts = measured(amp="none")
    parameters = sum(parameter.nbytes for parameter in parts.model.parameters())
    buffers = sum(buffer.nbytes for buffer in parts.model.buffers())
    # Some numbers that are kept for the backward pass do not depend on the batch.
    assert 5 * parameters + buffers <= memory.fixed_bytes < 5 * parameters + buffers + 10**6
    # The inputs of both channels must be kept, and a small model keeps no more than some megabytes.
    assert 4760 * 8 < memory.bytes_per_event - EVENT_BYTES < 10**7
    assert memory.total(7) - memory.total(5) == 2 * memory.bytes_per_event
    assert 0 < memory.widest_bytes < memory.bytes_per_event


def test_measuring_leaves_model_and_random_numbers_as_they_were() -> None:
    config = configured()
    parts = parts_of(config)
    parts.model.eval()
    before, state = {n: v.clone() for n, v in parts.model.state_dict().items()}, torch.get_rng_state()
    measure_model(parts.model, parts.task, config.training)
    assert torch.equal(torch.get_rng_state(), state)
    assert not parts.model.training
    assert all(torch.equal(value, before[name]) for name, value in parts.model.state_dict().items())


def test_half_precision_keeps_less() -> None:
    assert measured(amp="bf16")[0].bytes_per_event < measured(amp="none")[0].bytes_per_event


def test_the_largest_batch_is_a_power_of_two_that_leaves_a_tenth() -> None:
    memory = ModelMemory(fixed_bytes=1000, bytes_per_event=100)
    assert memory.largest_batch(4000) == 16
    assert memory.total(16) <= 3600 < memory.total(32)
    assert memory.largest_batch(1100) == 0


def test_the_loader_grows_with_chunks_and_workers_and_hardly_with_the_cache() -> None:
    def needed(**settings: Any) -> int:
        return loader_bytes(DataConfig(train_path="a", val_path="b", **settings))

    assert needed(chunksize=4096) - needed(chunksize=2048) == 4 * 2048 * EVENT_BYTES
    assert needed(chunksize=10**6) == needed(chunksize=8192)
    assert needed(num_workers=4) > needed(num_workers=2) > needed()
    assert needed(cache="auto", cache_dir="c", num_workers=4) < needed()


def test_the_smallest_limit_of_the_control_groups_counts(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    (root / "job" / "step").mkdir(parents=True)
    (root / "job" / "memory.max").write_text("5000000\n")
    (root / "job" / "step" / "memory.max").write_text("max\n")
    (root / "memory" / "old").mkdir(parents=True)
    (root / "memory" / "old" / "memory.limit_in_bytes").write_text("7000000\n")
    membership = tmp_path / "membership"
    membership.write_text("5:memory:/old\n3:cpu:/other\n0::/job/step\n")
    assert sorted(_group_limits(membership, root)) == [5000000, 7000000]
    assert _group_limits(tmp_path / "none", root) == []
    assert host_memory_bytes() > 10**8


def findings(config: RegressorConfig, num_validated: int = 0) -> dict[tuple[str, str], str]:
    found = memory_findings(config, parts_of(config), num_validated)
    return {(one.severity, one.place): one.message for one in found}


def test_a_sound_configuration_gets_notes_and_a_table_of_devices() -> None:
    found = findings(configured())
    assert {severity for severity, _ in found} == {"note"}
    assert "A100 40 GB: " in found["note", "data.batch_size"]


def test_what_does_not_fit_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.cli.memory_check.host_memory_bytes", lambda: 10**9)
    monkeypatch.setattr("lib.cli.memory_check.shared_memory_bytes", lambda: 64 * 2**20)
    found = findings(configured(data={"num_workers": 4, "chunksize": 16384}))
    assert "which may not suffice" in found["warning", "memory"]
    assert "through /dev/shm, which holds 0.1 GB" in found["warning", "data.num_workers"]
    assert "8192 are held at a time at most" in found["note", "data.chunksize"]


def test_predictions_of_a_large_validation_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.cli.memory_check.host_memory_bytes", lambda: 20 * 10**9)
    assert ("note", "memory") in findings(configured(), 10**6)
    assert ("warning", "memory") in findings(configured(), 10**9)


@pytest.mark.parametrize(("gigabytes", "severity"), [(0.0005, "warning"), (40.0, "note")])
def test_a_gpu_is_asked_for_its_memory(monkeypatch: pytest.MonkeyPatch, gigabytes: float, severity: str) -> None:
    class Properties:
        total_memory = int(gigabytes * 10**9)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    found = list(memory_findings(configured(), parts_of(configured(training={"amp": "none"})), 0))
    (about,) = [one for one in found if "of the GPU with 256 events at a time" in one.message]
    assert about.severity == severity
