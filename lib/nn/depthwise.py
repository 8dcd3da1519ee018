"""Depthwise convolution of channels-last images, with a backward pass that a CPU likes.

The gradient of the weights takes torch 20 to 40 ms for 16 images of the inner face, ten times the forward pass and a
quarter of a training step. Compiled from C it takes about as long as the forward pass.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lib.compiled import load_library
from lib.nn.event_threads import for_each_part

_LANES = 16
_LARGEST = 7
_DTYPES = (torch.float32, torch.bfloat16)


class DepthwiseConvolution(nn.Conv2d):
    """Convolves each channel by itself; odd square kernel, stride 1, the image keeps its size.

    Args:
        dim: Number of channels.
        size: Side of the kernel.
    """

    def __init__(self, dim: int, size: int) -> None:
        super().__init__(dim, dim, size, padding=size // 2, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve an image of shape (B, H, W, C)."""
        # As a view, (B, C, H, W) keeps the channels innermost: the convolution's channels-last path, without a copy.
        image = x.permute(0, 3, 1, 2)
        if not self._has_own_backward(x):
            return super().forward(image).permute(0, 2, 3, 1)
        assert self.bias is not None
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        operands = (tensor.to(dtype) for tensor in (image, self.weight, self.bias))
        return _Convolution.apply(*operands).permute(0, 2, 3, 1)

    def _has_own_backward(self, x: Tensor) -> bool:
        if torch.compiler.is_compiling() or x.device.type != "cpu" or not torch.is_grad_enabled():
            return False
        fits = self.in_channels % _LANES == 0 and self.kernel_size[0] <= _LARGEST and x.dtype in _DTYPES
        return fits and self.weight.requires_grad and _library() is not None


class _Convolution(torch.autograd.Function):
    """The convolution of (B, C, H, W) by (C, 1, K, K)."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(image, weight)
        return functional.conv2d(image, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        image, weight = ctx.saved_tensors
        own, channels = None, len(weight)
        if ctx.needs_input_grad[0]:
            # The transposed convolution at stride 1 is a convolution with the kernel turned round.
            turned = weight.flip(2, 3)
            own = functional.conv2d(gradient, turned, padding=weight.shape[-1] // 2, groups=channels)
        last = (0, 2, 3, 1)
        weights = weight_gradient(image.permute(last), gradient.permute(last), weight.shape[-1])
        return own, weights.to(weight.dtype), gradient.sum(dim=(0, 2, 3))


def weight_gradient(image: Tensor, gradient: Tensor, size: int) -> Tensor:
    """Return the gradient of the weights of a depthwise convolution.

    Args:
        image: What was convolved, shape (B, H, W, C), float32 or bfloat16; C a multiple of 16.
        gradient: Gradient of the result, same shape and type.
        size: Side K of the kernel.

    Returns:
        Shape (C, 1, K, K), float32.
    """
    library = _library()
    assert library is not None
    image, gradient = image.contiguous(), gradient.contiguous()
    num_events, height, width, channels = image.shape

    def sum_events(first: int, last: int) -> Tensor:
        sums = torch.empty(size, size, channels)
        failed: int = library.depthwise_weight_gradient(
            *(ctypes.c_void_p(tensor.data_ptr()) for tensor in (image[first:], gradient[first:], sums)),
            *(ctypes.c_int64(number) for number in (last - first, height, width, channels, size)),
            ctypes.c_int(image.dtype == torch.bfloat16),
        )
        if failed:
            raise MemoryError("no memory for the gradient of a depthwise convolution")
        return sums

    return torch.stack(for_each_part(num_events, sum_events)).sum(dim=0).permute(2, 0, 1)[:, None]


@cache
def _library() -> ctypes.CDLL | None:
    return load_library(Path(__file__).with_name("depthwise.c"))
