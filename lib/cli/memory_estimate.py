"""How much memory a training will take: measured on a few events where it can be, computed where it must be."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import nn

from lib.cli.assembly import ScoringTask
from lib.data.batch import EventBatch
from lib.data.config import DataConfig
from lib.data.pools.root_stream import MAX_POOL_EVENTS
from lib.data.trees.schema import BRANCH_WIDTHS
from lib.geometry.sensors import NUM_SENSORS
from lib.training.config import TrainingConfig
from lib.training.machine.saved_memory import saved_bytes
from lib.training.micro_batch import widest_layer_bytes
from lib.training.precision import autocast

# Inputs in float32 and what is valid, of both channels.
EVENT_BYTES = NUM_SENSORS * 2 * (4 + 1)
# Weights, gradients, two moments of Adam, and the averaged weights; float32 each.
_COPIES_OF_PARAMETERS = 5
# A basket of each branch and thread, and what belongs to the interpreter and its libraries.
_PROCESS_BYTES = 600_000_000
_BASKET_BYTES_PER_THREAD = 60_000_000
_MEASURED_EVENTS = (1, 3)
# Gradients of activations, workspaces of kernels, fragments.
ACTIVATION_MARGIN = 1.3


@dataclass(frozen=True)
class ModelMemory:
    """Memory of a model on its device.

    Attributes:
        fixed_bytes: Weights, gradients, optimizer and averaged weights, and copies of weights in another precision.
        bytes_per_event: What is kept of each event for the backward pass, with a margin for what comes and goes.
        widest_bytes: Largest tensor of one event, which decides how many go through the model at a time on a CPU.
    """

    fixed_bytes: int
    bytes_per_event: int
    widest_bytes: int = 0

    def total(self, num_events: int) -> int:
        """Return the bytes of a training with so many events at a time."""
        return self.fixed_bytes + num_events * self.bytes_per_event

    def largest_batch(self, device_bytes: int) -> int:
        """Return the largest power of two that fits at a time into nine tenths of a device; 0 when none does."""
        room = int(0.9 * device_bytes) - self.fixed_bytes
        events = room // self.bytes_per_event
        return 1 << (events.bit_length() - 1) if events > 0 else 0


def measure_model(model: nn.Module, task: ScoringTask, config: TrainingConfig) -> ModelMemory:
    """Return what a training of a model on the CPU keeps; runs it forward on one event and on three.

    Args:
        model: The model, with any weights.
        task: Scores it.
        config: Supplies the precision, which decides how many bytes an activation takes.
    """
    mode = model.training
    model.train()
    few, many = _MEASURED_EVENTS
    sizes: list[int] = []
    small = kept_bytes(model, task, config, few)
    widest = widest_layer_bytes(model, lambda: sizes.append(kept_bytes(model, task, config, many)))
    large = sizes[0]
    model.train(mode)
    per_event = max(large - small, 0) // (many - few)
    fixed = _fixed_bytes(model) + max(small - few * per_event, 0)
    return ModelMemory(fixed, int(ACTIVATION_MARGIN * per_event) + EVENT_BYTES, widest // many)


def kept_bytes(model: nn.Module, task: ScoringTask, config: TrainingConfig, num_events: int) -> int:
    """Return the bytes that a forward pass keeps for the backward pass, apart from the model's own."""
    batch = some_events(num_events, task.truth_branches)
    with torch.random.fork_rng(devices=[]), autocast(config.precision, torch.device("cpu")):
        return saved_bytes(model, lambda: task.score(model, task.prepare(batch, training=True)))


def loader_bytes(config: DataConfig) -> int:
    """Return what loader and validation keep in the memory of the host, at most, beside the model."""
    if config.cache != "off":
        batches = 4 * config.batch_size * EVENT_BYTES
        return _PROCESS_BYTES + batches
    pool = (min(config.chunksize, MAX_POOL_EVENTS) + config.batch_size) * EVENT_BYTES
    scratch = config.num_threads * _BASKET_BYTES_PER_THREAD
    if config.worker_processes == 0:
        return _PROCESS_BYTES + 2 * (2 * pool + scratch)
    workers = config.worker_processes * (_PROCESS_BYTES + scratch + (1 + config.prefetch_factor) * pool)
    return _PROCESS_BYTES + workers + pool


def host_memory_bytes() -> int:
    """Return the memory that this process may use: of the machine, or of its control group if that allows less."""
    return min([psutil.virtual_memory().total, *_group_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def shared_memory_bytes() -> int | None:
    """Return the size of /dev/shm, through which worker processes hand over; None where there is none."""
    try:
        status = os.statvfs("/dev/shm")
    except OSError:
        return None
    return status.f_frsize * status.f_blocks


def _group_limits(membership: Path, root: Path) -> list[int]:
    """Return the limits of the control groups of this process, of either version, from the leaf to the root."""
    try:
        lines = membership.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        base, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        group = base / path.lstrip("/")
        limits += [limit for place in (group, *group.parents) if (limit := _read_limit(place / name)) is not None]
    return limits


def _read_limit(place: Path) -> int | None:
    try:
        text = place.read_text(encoding="ascii").strip()
    except OSError:
        return None
    # Version 1 says a number near 2^63 for no limit, which no machine reaches; version 2 says max.
    return int(text) if text.isdigit() else None


def _fixed_bytes(model: nn.Module) -> int:
    parameters = sum(parameter.nbytes for parameter in model.parameters())
    return _COPIES_OF_PARAMETERS * parameters + sum(buffer.nbytes for buffer in model.buffers())


def some_events(count: int, truth_branches: Sequence[str]) -> EventBatch:
    """Return events with light and a time at every sensor, and truth of 1."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.arange(count)
    return EventBatch(
        x=torch.rand(count, NUM_SENSORS, 2, generator=generator),
        valid=torch.ones(count, NUM_SENSORS, 2, dtype=torch.bool),
        truth={name: torch.ones(count, BRANCH_WIDTHS[name]) for name in truth_branches},
        run=numbers,
        event=numbers,
        weight=torch.ones(count),
        seed=0,
    )
