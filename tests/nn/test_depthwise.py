"""The depthwise convolution and its own backward pass."""

import pytest
import torch
from torch import nn

from lib.nn import depthwise as module
from lib.nn.depthwise import DepthwiseConvolution, weight_gradient

needs_library = pytest.mark.skipif(module._library() is None, reason="no C compiler")


def gradients_of(layer: nn.Module, x: torch.Tensor, upstream: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    layer.zero_grad()
    (layer(x) * upstream).sum().backward()
    assert x.grad is not None
    return [x.grad, *(parameter.grad.clone() for parameter in layer.parameters())]


@needs_library
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 4), (2, 9, 23)])
@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("threads", [1, 2])
def test_gradients_are_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], size: int, threads: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    torch.manual_seed(0)
    layer = DepthwiseConvolution(32, size)
    x, upstream = torch.randn(*shape, 32), torch.randn(*shape, 32)
    assert layer._has_own_backward(x)
    own = gradients_of(layer, x, upstream)
    monkeypatch.setattr(module, "_library", lambda: None)
    assert not layer._has_own_backward(x)
    for gradient, expected in zip(own, gradients_of(layer, x, upstream), strict=True):
        # Sums of a few hundred float32 products in another order.
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-4)


@needs_library
def test_bfloat16_is_summed_in_float32() -> None:
    torch.manual_seed(0)
    image, upstream = torch.randn(2, 8, 9, 16).bfloat16(), torch.randn(2, 8, 9, 16).bfloat16()
    exact = weight_gradient(image.float(), upstream.float(), 7)
    assert torch.equal(weight_gradient(image, upstream, 7), exact)


@needs_library
def test_views_that_do_not_lie_in_order_are_understood() -> None:
    torch.manual_seed(0)
    image, upstream = torch.randn(2, 16, 4, 5).permute(0, 2, 3, 1), torch.randn(2, 4, 5, 16)
    expected = weight_gradient(image.contiguous(), upstream, 3)
    assert torch.equal(weight_gradient(image, upstream, 3), expected)


@needs_library
def test_autocast_convolves_in_bfloat16_and_keeps_float32_weights() -> None:
    layer = DepthwiseConvolution(16, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(torch.randn(1, 6, 6, 16))
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("dim", [8, 24])
def test_other_numbers_of_channels_take_the_way_of_torch(dim: int) -> None:
    layer = DepthwiseConvolution(dim, 7)
    assert not layer._has_own_backward(torch.zeros(1, 2, 2, dim))
    assert layer(torch.randn(1, 4, 5, dim)).shape == (1, 4, 5, dim)


def test_no_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        @staticmethod
        def depthwise_weight_gradient(*arguments: object) -> int:
            return 1

    monkeypatch.setattr(module, "_library", Full)
    with pytest.raises(MemoryError, match="gradient of a depthwise convolution"):
        weight_gradient(torch.zeros(1, 2, 2, 16), torch.zeros(1, 2, 2, 16), 3)
