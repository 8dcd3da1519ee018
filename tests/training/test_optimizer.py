"""Which parameters decay."""

import torch
from torch import nn

from lib.training.optimizer import build_optimizer, decayed_parameters, set_learning_rate


class Sample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.norm = nn.LayerNorm(4)
        self.table = nn.Embedding(5, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.position_embedding = nn.Parameter(torch.zeros(6, 4))
        self.frozen = nn.Parameter(torch.zeros(4, 4), requires_grad=False)
        self.shared = self.linear


def test_only_weight_matrices_decay() -> None:
    model = Sample()
    decayed, exempt = decayed_parameters(model)
    assert [id(parameter) for parameter in decayed] == [id(model.linear.weight)]
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(parameter)] for parameter in exempt} == {
        "linear.bias", "norm.weight", "norm.bias", "table.weight", "token", "position_embedding",
    }  # fmt: skip


def test_the_learning_rate_reaches_every_group() -> None:
    optimizer = build_optimizer(Sample(), lr=1.0, weight_decay=0.1)
    set_learning_rate(optimizer, 0.25)
    assert {group["lr"] for group in optimizer.param_groups} == {0.25}
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
