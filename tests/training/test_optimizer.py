"""Which parameters decay."""

import pytest
import torch
from torch import nn

from lib.errors import ConfigError
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


class Tower(nn.Sequential):
    """Three layers, the first of them at the inputs."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))

    def layer_levels(self) -> dict[str, int]:
        return {name: int(name[0]) for name, _ in self.named_parameters()}


def rates(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(one)]: group["lr"] for group in optimizer.param_groups for one in group["params"]}


def test_learning_rates_fall_towards_the_inputs() -> None:
    model = Tower()
    optimizer = build_optimizer(model, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    expected = {"0.weight": 0.25, "0.bias": 0.25, "1.weight": 0.5, "1.bias": 0.5, "2.weight": 1.0, "2.bias": 1.0}
    assert rates(optimizer, model) == expected
    set_learning_rate(optimizer, 0.1)
    assert rates(optimizer, model) == {name: pytest.approx(0.1 * rate) for name, rate in expected.items()}
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.1, 0.0, 0.0, 0.0]


def test_a_step_moves_lower_layers_less() -> None:
    model = Tower()
    before = [layer.weight.detach().clone() for layer in (model[0], model[2])]
    optimizer = build_optimizer(model, lr=1e-3, weight_decay=0.0, layer_decay=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    low, high = (
        (old - layer.weight).abs().max().item() for old, layer in zip(before, (model[0], model[2]), strict=True)
    )
    # The first step of Adam is the learning rate, rounded in float32 around weights of order one.
    assert low == pytest.approx(1e-5, rel=0.02)
    assert high == pytest.approx(1e-3, rel=1e-3)


def test_a_resumed_run_takes_the_layer_decay_that_is_configured_now() -> None:
    source = build_optimizer(Tower(), lr=1.0, weight_decay=0.1, layer_decay=0.5)
    model = Tower()
    target = build_optimizer(model, lr=1.0, weight_decay=0.1, layer_decay=0.2)
    load_optimizer_state(target, source.state_dict())
    set_learning_rate(target, 1.0)
    assert rates(target, model)["0.weight"] == pytest.approx(0.04)


def test_a_model_without_levels_has_no_layer_decay() -> None:
    with pytest.raises(ConfigError, match=r"training\.layer_decay: a Sample does not say in which order"):
        build_optimizer(Sample(), lr=1.0, weight_decay=0.1, layer_decay=0.5)


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
