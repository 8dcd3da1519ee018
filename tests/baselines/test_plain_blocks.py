"""The plain form is the same function."""

import pytest
import torch
from torch import nn

from lib.baselines.plain_blocks import PlainConvNextBlock, plain_form
from lib.nn.convnext import ConvNextBlock, PatchProjection
from lib.nn.grn import PointwiseLayers
from lib.nn.hexnext import HexNextBlock

TABLE = torch.tensor([[1, -1, 2], [0, 2, -1], [1, 0, 0], [-1, -1, 3]])


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (nn.Sequential(ConvNextBlock(16), ConvNextBlock(16)), (3, 6, 7, 16)),
        (nn.Sequential(ConvNextBlock(8), PatchProjection(8, 16, 2), ConvNextBlock(16)), (2, 7, 5, 8)),
        (HexNextBlock(8, TABLE), (3, 4, 8)),
        (PointwiseLayers(8), (3, 4, 8)),
    ],
)
def test_outputs_and_gradients_agree(network: nn.Module, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    plain = nn.Sequential(network)
    plain = plain_form(plain)
    x = torch.randn(shape, generator=generator)
    expected, found = network(x), plain(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    expected.square().sum().backward()
    found.square().sum().backward()
    pairs = zip(plain.parameters(), network.parameters(), strict=True)
    names = dict(network.named_parameters())
    for name, parameter in plain.named_parameters():
        twin = names[name.removeprefix("0.")]
        assert parameter.grad is not None
        assert twin.grad is not None
        torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-4, atol=1e-4 * float(twin.grad.abs().max()))
    assert all(one is not other for one, other in pairs)


def test_the_model_itself_stays_as_it_is() -> None:
    model = nn.Sequential(ConvNextBlock(8))
    plain = plain_form(model)
    assert isinstance(plain.get_submodule("0"), PlainConvNextBlock)
    assert isinstance(model[0], ConvNextBlock)
