"""Activation checkpointing."""

import torch
from torch import nn

from lib.nn.convnext import ConvNextBlock
from lib.nn.drop_path import PathDraws
from lib.nn.recomputation import recompute_blocks
from lib.nn.transformer import TransformerLayer


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(ConvNextBlock(8, 0.5), ConvNextBlock(8))
        self.tokens = TransformerLayer(8, 2, 16, 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tokens(self.image(x).flatten(1, 2))


def saved_bytes_and_gradients(network: Network) -> tuple[int, list[torch.Tensor]]:
    seen: dict[int, int] = {}
    parameters = {parameter.data_ptr() for parameter in network.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in parameters:
            seen[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    draws = PathDraws(network)
    draws.draw(4, torch.device("cpu"))
    draws.use_rows(0, 4)
    x = torch.randn(4, 10, 9, 8)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = network(x).square().sum()
    loss.backward()
    return sum(seen.values()), [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def test_recomputed_blocks_give_the_same_gradients_and_names_from_less_memory() -> None:
    torch.manual_seed(0)
    plain, recomputed = Network().train(), Network().train()
    recomputed.load_state_dict(plain.state_dict())
    assert recompute_blocks(recomputed) == 3
    assert list(recomputed.state_dict()) == list(plain.state_dict())
    kept, expected = saved_bytes_and_gradients(plain)
    less, gradients = saved_bytes_and_gradients(recomputed)
    assert less < kept / 4
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert torch.equal(gradient, wanted)
