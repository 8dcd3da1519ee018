"""What to do when a step does not fit into memory."""

import torch

from lib.errors import UserError

GIB = 2**30
# torch has no type of its own for the host's memory; these are the words of its CPU allocator.
_CPU_MESSAGES = ("DefaultCPUAllocator", "not enough memory: you tried to allocate", "std::bad_alloc")


class MemoryShortageError(UserError):
    """A step needs more memory than there is; the message has the settings that halve its need."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an allocation failed, on the GPU or on the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CPU_MESSAGES)


def describe_memory(device: torch.device) -> str:
    """Return the peak of this process and what is free, as words for a message."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        peak = torch.cuda.max_memory_allocated(device)
        return f"peak {peak / GIB:.1f} GiB, {free / GIB:.1f} of {total / GIB:.1f} GiB free on the GPU"
    return f"peak {peak_host_bytes() / GIB:.1f} GiB, {free_host_bytes() / GIB:.1f} GiB free on the host"


def peak_host_bytes() -> int:
    """Return the largest resident memory that this process ever had."""
    import resource  # noqa: PLC0415 - Unix only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def free_host_bytes() -> int:
    """Return the memory of the host that is available to new allocations."""
    import psutil  # noqa: PLC0415

    return psutil.virtual_memory().available


def release_memory(device: torch.device) -> None:
    """Give cached blocks of the GPU back, so that a smaller attempt finds them in one piece."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def shortage_error(
    device: torch.device, *, step: int, batch: int, micro_batch: int, accumulation: int
) -> MemoryShortageError:
    """Return the error that ends a run whose step does not fit.

    Args:
        device: What is full.
        step: Optimizer step, from 0.
        batch: Events of one batch of one process.
        micro_batch: Events that went through the model at a time.
        accumulation: Batches of one step.
    """
    half = -(-batch // 2)
    return MemoryShortageError(
        f"out of memory in step {step}: {micro_batch} events at a time of a batch of {batch}, "
        f"{describe_memory(device)}. These two lines, in data and training, need half the memory for activations and "
        f"keep the {half * 2 * accumulation} events of a step:\n"
        f"  batch_size: {half}\n"
        f"  grad_accum_steps: {accumulation * 2}\n"
        "or let it be done without a restart by training.auto_batch: true. Everything up to this step is saved."
    )
