"""Averaged weights."""

import pytest
import torch
from torch import Tensor, nn

from lib.training.ema import WeightAverage

ACCEPTED, SKIPPED = torch.tensor(1.0), torch.tensor(0.0)


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def move(model: nn.Module, by: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by)


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.items()}


def test_a_skipped_step_leaves_the_averages_bit_for_bit() -> None:
    model = linear()
    average = WeightAverage(model, 0.99)
    before = copied(average.state_dict())
    move(model, 0.123)
    average.update(500, SKIPPED)
    assert all(torch.equal(value, before[name]) for name, value in average.state_dict().items())


@pytest.mark.parametrize(("step", "decay"), [(0, 0.1), (8, 0.5), (89, 90 / 99), (890, 0.99), (10**6, 0.99)])
def test_the_decay_grows_with_the_step_up_to_its_setting(step: int, decay: float) -> None:
    model = linear()
    average = WeightAverage(model, 0.99)
    before = copied(average.state_dict())
    move(model, 1.0)
    average.update(step, ACCEPTED)
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value, before[name] + (1.0 - decay), rtol=1e-5, atol=1e-6)


def test_resting_weights_are_their_own_average() -> None:
    model = linear()
    average = WeightAverage(model, 0.9)
    for step in range(50):
        average.update(step, ACCEPTED)
    assert all(torch.equal(value, model.get_parameter(name)) for name, value in average.state_dict().items())


def test_the_average_is_in_the_model_inside_the_block_alone() -> None:
    model = linear()
    average = WeightAverage(model, 0.9)
    start = copied(average.state_dict())
    move(model, 1.0)
    trained = copied(model.state_dict())
    with average.swapped():
        assert all(torch.equal(model.get_parameter(name), value) for name, value in start.items())
    assert all(torch.equal(model.get_parameter(name), value) for name, value in trained.items())
    assert all(torch.equal(value, start[name]) for name, value in average.state_dict().items())


def test_the_trained_weights_return_when_the_block_fails() -> None:
    model = linear()
    average = WeightAverage(model, 0.9)
    move(model, 1.0)
    trained = copied(model.state_dict())
    with pytest.raises(RuntimeError, match="in the block"), average.swapped():
        raise RuntimeError("in the block")
    assert all(torch.equal(model.get_parameter(name), value) for name, value in trained.items())


def test_frozen_parameters_are_not_averaged() -> None:
    model = linear()
    model.bias.requires_grad_(False)
    assert list(WeightAverage(model, 0.9).state_dict()) == ["weight"]


def test_loaded_averages_are_copies_of_those_that_were_saved() -> None:
    source, target = WeightAverage(linear(1), 0.9), WeightAverage(linear(2), 0.9)
    state = source.state_dict()
    target.load_state_dict(state)
    for name, value in target.state_dict().items():
        assert torch.equal(value, state[name])
        assert value.data_ptr() != state[name].data_ptr()


def test_averages_of_other_parameters_are_refused() -> None:
    average = WeightAverage(linear(), 0.9)
    with pytest.raises(KeyError, match="bias"):
        average.load_state_dict({"weight": torch.zeros(2, 3)})
