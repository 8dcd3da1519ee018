"""Sums over the detector must not be rounded to eight bits."""

import torch

from lib.nn.precise import in_float32


def test_a_layer_keeps_float32_under_autocast() -> None:
    layer, x = torch.nn.Linear(64, 8), torch.randn(5, 64)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(in_float32(layer, x), exact)
        assert not torch.equal(layer(x).float(), exact)
        # What a layer before it rounded is taken as it is.
        assert in_float32(layer, x.bfloat16()).dtype == torch.float32
        assert layer(x).dtype == torch.bfloat16


def test_without_autocast_the_layer_has_its_own_precision() -> None:
    layer = torch.nn.Linear(4, 2).double()
    assert in_float32(layer, torch.ones(1, 4, dtype=torch.float64)).dtype == torch.float64
