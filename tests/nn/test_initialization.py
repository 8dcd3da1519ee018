"""Initial weights."""

import torch
from torch import nn

from lib.nn.initialization import initialize, shrink_outputs


def test_weights_are_narrow_and_biases_zero() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(100, 100), nn.Conv2d(8, 8, 7, groups=8), nn.Linear(4, 4, bias=False))
    initialize(layers)
    assert 0.015 < layers[0].weight.std() < 0.025
    assert 0.012 < layers[1].weight.std() < 0.028
    assert not layers[0].bias.any()
    assert not layers[1].bias.any()


def test_only_the_last_layer_of_a_head_is_shrunk() -> None:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(50, 50), nn.GELU(), nn.Linear(50, 50))
    first = head[0].weight.clone()
    shrink_outputs([head])
    assert head[2].weight.std() < 0.002
    assert torch.equal(head[0].weight, first)
