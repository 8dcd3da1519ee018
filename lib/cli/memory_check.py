"""Whether a training fits into the memory of its host and of its device."""

from collections.abc import Iterator

import torch

from lib.cli.assembly import Assembly
from lib.cli.memory_estimate import (
    EVENT_BYTES,
    ModelMemory,
    host_memory_bytes,
    loader_bytes,
    measure_model,
    shared_memory_bytes,
)
from lib.cli.schemas import TrainingConfiguration
from lib.data.checks.finding import Finding
from lib.data.pools.root_stream import MAX_POOL_EVENTS
from lib.training.micro_batch import MicroBatching

GB = 10**9
# What the makers say, decimal; drivers and contexts take some, which the tenth that is left free covers.
DEVICES = {"V100 16 GB": 16, "A100 40 GB": 40, "A100 80 GB": 80, "GH200 96 GB": 96, "H200 141 GB": 141}


def memory_findings(config: TrainingConfiguration, parts: Assembly, num_validated: int) -> Iterator[Finding]:
    """Yield what is expected of host and device, and what does not fit.

    Args:
        config: The configuration.
        parts: Model and task.
        num_validated: Events of a validation, whose predictions are kept until its end.
    """
    model = measure_model(parts.model, parts.task, config.training)
    on_host = loader_bytes(config.data) + _prediction_bytes(config, parts, num_validated)
    cuda = torch.cuda.is_available()
    at_a_time = _events_at_a_time(config, model, torch.device("cuda" if cuda else "cpu"))
    if cuda:
        yield _device_finding(model, at_a_time, torch.cuda.get_device_properties(0).total_memory)
    else:
        on_host += model.total(at_a_time)
    yield from _host_findings(on_host, host_memory_bytes(), on_cpu=not cuda)
    yield from _worker_findings(config)
    yield _table(model)


def _events_at_a_time(config: TrainingConfiguration, model: ModelMemory, device: torch.device) -> int:
    micro_batching = MicroBatching(config.training.micro_batch, device)
    if micro_batching.is_open:
        micro_batching.fit_cache(model.widest_bytes)
    return micro_batching.size(config.data.batch_size)


def _device_finding(model: ModelMemory, at_a_time: int, total: int) -> Finding:
    needed, largest = model.total(at_a_time), model.largest_batch(total)
    values = {"device_bytes": total, "expected_device_bytes": needed, "largest_batch": largest}
    message = f"about {needed / GB:.1f} of {total / GB:.1f} GB of the GPU with {at_a_time} events at a time"
    if needed <= 0.9 * total:
        return Finding("note", "data.batch_size", f"{message}; up to {largest} should fit.", values)
    advice = f"Set training.micro_batch to {largest} or less; the gradient stays the same." if largest else ""
    return Finding("warning", "data.batch_size", f"{message}, which may not fit. {advice}", values)


def _host_findings(needed: int, available: int, *, on_cpu: bool) -> Iterator[Finding]:
    what = "loader, predictions and, without a GPU, model and activations" if on_cpu else "loader and predictions"
    message = f"{what} take about {needed / GB:.1f} of the {available / GB:.1f} GB that this process may use"
    values = {"host_bytes": available, "expected_host_bytes": needed}
    if needed <= 0.9 * available:
        yield Finding("note", "memory", f"{message}.", values)
        return
    advice = "Lower data.batch_size, data.chunksize or data.num_workers, in this order." if on_cpu else (
        "Lower data.num_workers or data.chunksize."
    )  # fmt: skip
    yield Finding("warning", "memory", f"{message}, which may not suffice. {advice}", values)


def _worker_findings(config: TrainingConfiguration) -> Iterator[Finding]:
    data = config.data
    if data.chunksize > MAX_POOL_EVENTS:
        message = f"{data.chunksize} events are asked for; {MAX_POOL_EVENTS} are held at a time at most."
        yield Finding("note", "data.chunksize", message)
    shared = shared_memory_bytes()
    if data.worker_processes == 0 or data.cache != "off" or shared is None:
        return
    needed = data.worker_processes * data.prefetch_factor * min(data.chunksize, MAX_POOL_EVENTS) * EVENT_BYTES
    if needed > shared:
        message = (
            f"{data.worker_processes} workers hand over {needed / GB:.1f} GB through /dev/shm, which holds "
            f"{shared / GB:.1f} GB. Raise it (--shm-size), lower data.chunksize, or set data.num_workers to 0."
        )
        yield Finding("warning", "data.num_workers", message, {"shared_bytes": shared, "expected_bytes": needed})


def _prediction_bytes(config: TrainingConfiguration, parts: Assembly, num_validated: int) -> int:
    """Return what observers keep: truth and prediction of each target of each validated event, float64 at worst."""
    widths = sum(len(target["centre"]) for target in parts.about.get("targets", {}).values())
    return num_validated * (2 * widths + 4) * 8 if config.checkpoint.save_artifacts or widths else 0


def _table(model: ModelMemory) -> Finding:
    fitting = {name: model.largest_batch(size * GB) for name, size in DEVICES.items()}
    shown = ", ".join(f"{name}: {largest}" for name, largest in fitting.items())
    message = (
        f"{model.fixed_bytes / GB:.2f} GB for weights, gradients and optimizer, and {model.bytes_per_event / 1e6:.2f} "
        f"MB an event in training; so many at a time fit into: {shown}. training.micro_batch cuts larger batches."
    )
    values: dict[str, float | str] = {"fixed_bytes": model.fixed_bytes, "bytes_per_event": model.bytes_per_event}
    return Finding("note", "data.batch_size", message, {**values, **fitting})
