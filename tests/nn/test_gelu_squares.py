"""GELU with the sum of its squares."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.nn import gelu_squares as module
from lib.nn.gelu_squares import gelu_squares

needs_library = pytest.mark.skipif(module._library() is None, reason="no C compiler")


def run(x: torch.Tensor, upstream: torch.Tensor, factors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    x = x.clone().requires_grad_()
    y, squares = gelu_squares(x)
    torch.autograd.backward([y, squares], [upstream, factors])
    assert x.grad is not None
    return y.detach(), squares.detach(), x.grad


@needs_library
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1, 16), (3, 7, 48), (2, 100, 128)])
def test_values_and_gradients_are_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], threads: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    torch.manual_seed(0)
    x, upstream, factors = 3.0 * torch.randn(shape), torch.randn(shape), torch.randn(shape[0], 1, shape[2])
    assert module._has_own_form(x)
    own = run(x, upstream, factors)
    monkeypatch.setattr(module, "_library", lambda: None)
    for found, expected in zip(own, run(x, upstream, factors), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=5e-6)


@needs_library
def test_gelu_is_right_over_its_whole_range() -> None:
    x = torch.linspace(-30.0, 30.0, 16_000).view(1, 1000, 16)
    y, _ = gelu_squares(x)
    exact = functional.gelu(x.double())
    # Half the error of the approximated erf, 0.75e-7, and some roundings of float32 near 1, 0.6e-7 each.
    assert ((y.double() - exact).abs() <= 3e-7 * x.abs()).all()


@needs_library
def test_bfloat16_rounds_like_torch_and_sums_in_float32() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 300, 32).bfloat16()
    y, squares = gelu_squares(x)
    exact = functional.gelu(x.float())
    assert (y == exact.bfloat16()).float().mean() > 0.999
    torch.testing.assert_close(squares, exact.square().sum(dim=1, keepdim=True), rtol=1e-4, atol=0)


@needs_library
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_not_hidden(dtype: torch.dtype, bad: float) -> None:
    """The guard of the training must see it."""
    x = torch.zeros(1, 2, 16, dtype=dtype)
    x[0, 1, 3] = bad
    y, squares = gelu_squares(x.requires_grad_())
    expected = functional.gelu(x.detach().float())[0, 1, 3]
    assert y[0, 1, 3].isfinite() == expected.isfinite()
    if bad != -float("inf"):
        assert not squares[0, 0, 3].isfinite()


def test_odd_widths_and_compilers_take_the_way_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 3, 15)
    assert not module._has_own_form(x)
    y, squares = gelu_squares(x)
    assert torch.equal(y, functional.gelu(x))
    torch.testing.assert_close(squares[:, 0], y.square().sum(dim=1))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not module._has_own_form(torch.randn(2, 3, 16))


class Squares(nn.Module):
    """The function as a module, to be exported."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return gelu_squares(x)


@pytest.mark.filterwarnings("ignore")  # torch warns of its own deprecations
def test_an_exported_graph_sums_by_a_product() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 300, 16)
    program = torch.export.export(Squares(), (x,))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "aten.matmul.default" in called
    assert not any("sum" in name for name in called)
    y, squares = program.module()(x)
    torch.testing.assert_close(y, functional.gelu(x))
    torch.testing.assert_close(squares, functional.gelu(x).square().sum(dim=1, keepdim=True))
