"""Which parameters decay."""

import pytest
import torch
from torch import nn

from lib.training.optimizer import build_optimizer, decayed_parameters, load_optimizer_state, set_learning_rate


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


def test_moments_are_taken_over_and_the_decay_stays_as_configured() -> None:
    source = build_optimizer(Sample(), lr=1.0, weight_decay=0.1)
    for parameter in source.param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    source.step()
    target = build_optimizer(Sample(), lr=1.0, weight_decay=0.3)
    load_optimizer_state(target, source.state_dict())
    assert [group["weight_decay"] for group in target.param_groups] == [0.3, 0.0]
    assert torch.equal(target.state_dict()["state"][0]["exp_avg"], source.state_dict()["state"][0]["exp_avg"])


def test_moments_of_other_parameters_are_refused() -> None:
    frozen = Sample()
    frozen.linear.requires_grad_(False)
    optimizer = build_optimizer(Sample(), lr=1.0, weight_decay=0.1)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        load_optimizer_state(optimizer, build_optimizer(frozen, lr=1.0, weight_decay=0.1).state_dict())
