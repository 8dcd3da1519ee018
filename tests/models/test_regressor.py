"""Heads and their widths."""

import torch

from lib.models.config import RegressorModelConfig
from lib.models.regressor import Regressor


def test_each_task_gets_its_numbers_near_zero_at_first(tiny, normalization, events) -> None:
    model = Regressor(RegressorModelConfig(**tiny), {"angle": 2, "energy": 1}, normalization)
    outputs = model(*events)
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {"angle": (3, 2), "energy": (3, 1)}
    assert all(value.abs().max() < 0.1 for value in outputs.values())


def test_heads_do_not_share_weights(tiny, normalization, events) -> None:
    model = Regressor(RegressorModelConfig(**tiny), {"angle": 2, "energy": 1}, normalization).eval()
    before = model(*events)
    torch.nn.init.ones_(model.heads["energy"].hidden.weight)
    after = model(*events)
    assert torch.equal(after["angle"], before["angle"])
    assert not torch.equal(after["energy"], before["energy"])


def test_hidden_dim_is_the_width_of_the_heads(tiny, normalization) -> None:
    model = Regressor(RegressorModelConfig(**tiny, hidden_dim=24), {"energy": 1}, normalization)
    assert model.heads["energy"].hidden.out_features == 24


def test_learnt_loss_weights_are_parameters_and_among_the_outputs(normalization, tiny, events) -> None:
    config = RegressorModelConfig(**tiny, hidden_dim=8)
    model = Regressor(config, {"energy": 1, "timing": 2}, normalization, balanced_tasks=["energy"])
    said = model(*events)
    assert list(said) == ["energy", "timing", "log_size_energy"]
    said["log_size_energy"].backward()
    assert model.balance is not None
    assert model.balance.log_sizes.grad.tolist() == [1.0]
    assert "balance.log_sizes" in model.state_dict()
    assert Regressor(config, {"energy": 1}, normalization).balance is None
