"""How fast a device multiplies matrices at best."""

import time
from collections.abc import Callable

import torch

# Dense bf16 and TF32 rates of the data sheets, in TFLOP/s: NVIDIA A100 (2020), H100 SXM (2022), H200 and GH200 (2023).
_SHEETS = {
    "A100": {torch.bfloat16: 312.0, torch.float32: 156.0},
    "H100": {torch.bfloat16: 989.0, torch.float32: 494.0},
    "H200": {torch.bfloat16: 989.0, torch.float32: 494.0},
    "GH200": {torch.bfloat16: 989.0, torch.float32: 494.0},
}
_CPU_SIZE = 1536


def peak_tflops(
    device: torch.device, dtype: torch.dtype, clock: Callable[[], float] = time.perf_counter
) -> float | None:
    """Return the best rate of matrix products in TFLOP/s: of the data sheet for a known GPU, measured on a CPU.

    Args:
        device: What is asked about.
        dtype: Type of the matrices.
        clock: Gives the seconds by which a CPU is measured.

    Returns:
        None for a GPU that is not known.
    """
    if device.type == "cpu":
        return measured_tflops(dtype, clock=clock)
    name = torch.cuda.get_device_name(device)
    return next((rates[dtype] for known, rates in _SHEETS.items() if known in name), None)


def measured_tflops(
    dtype: torch.dtype, size: int = _CPU_SIZE, repetitions: int = 5, *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the best of some products of square matrices on the CPU, with the threads that torch may use."""
    left, right = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    times = []
    for _ in range(repetitions):
        start = clock()
        left @ right
        times.append(clock() - start)
    return 2.0 * size**3 / min(times) / 1e12
