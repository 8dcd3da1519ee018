"""GELU and the squares of its result summed over positions, in one pass over memory where there is a C compiler.

The tensors between the two pointwise layers are the widest of the network. GELU, squares, their sum and the way back
through them read and write these tensors ten times in torch; in C it is four times.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lib.compiled import load_library
from lib.nn.event_threads import for_each_part

_LANES = 16
_DTYPES = (torch.float32, torch.bfloat16)


def gelu_squares(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return GELU, and the sum of its squares over the positions.

    Args:
        x: Shape (B, N, C).

    Returns:
        Shape (B, N, C), of the type of x, and (B, 1, C), float32.
    """
    if _has_own_form(x):
        return _GeluSquares.apply(x)
    y = functional.gelu(x)
    if torch.compiler.is_exporting():
        # ONNX Runtime sums along a middle axis one by one: as a product it takes a fifth of the time, and rounds less.
        return y, torch.matmul(y.new_ones(1, 1, y.shape[1]), y * y)
    # A sum over thousands of positions is kept in float32.
    return y, y.square().sum(dim=1, keepdim=True, dtype=torch.float32)


def _has_own_form(x: Tensor) -> bool:
    # Compilers and exporters follow torch's own operations alone.
    if torch.compiler.is_compiling() or x.device.type != "cpu":
        return False
    return x.shape[2] % _LANES == 0 and x.dtype in _DTYPES and _library() is not None


class _GeluSquares(torch.autograd.Function):
    """The two together."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.contiguous()
        ctx.save_for_backward(x)
        y, squares = torch.empty_like(x), torch.empty(len(x), 1, x.shape[2])
        for_each_part(len(x), lambda first, last: _call("gelu_squares", (x, y, squares), first, last))
        return y, squares

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, squares_gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        gradient, factors = gradient.contiguous(), (2.0 * squares_gradient).contiguous()
        result = torch.empty_like(x)
        tensors = (x, gradient, factors, result)
        for_each_part(len(x), lambda first, last: _call("gelu_squares_backward", tensors, first, last))
        return result


def _call(name: str, tensors: tuple[Tensor, ...], first: int, last: int) -> None:
    """Call a function of the library for some events of the tensors, of which the first is (B, N, C)."""
    _, positions, channels = tensors[0].shape
    getattr(_library(), name)(
        *(ctypes.c_void_p(tensor[first:].data_ptr()) for tensor in tensors),
        *(ctypes.c_int64(number) for number in (last - first, positions, channels)),
        ctypes.c_int(tensors[0].dtype == torch.bfloat16),
    )


@cache
def _library() -> ctypes.CDLL | None:
    return load_library(Path(__file__).with_name("gelu_squares.c"))
