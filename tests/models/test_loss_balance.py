"""Learnt weights of losses."""

import pytest
import torch

from lib.models.loss_balance import LossBalance, balanced

ONE = torch.tensor(1.0)


def test_every_loss_starts_with_weight_one() -> None:
    sizes = LossBalance(["a", "b"])()
    assert {name: balanced(torch.tensor(0.3), size, ONE).item() for name, size in sizes.items()} == {
        "a": pytest.approx(0.3), "b": pytest.approx(0.3),
    }  # fmt: skip


def test_learnt_sizes_are_those_of_the_losses() -> None:
    losses = {"large": torch.tensor(7.0), "small": torch.tensor(1e-3)}
    balance = LossBalance(list(losses))
    optimizer = torch.optim.Adam(balance.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        sum((balanced(losses[name], size, ONE) for name, size in balance().items()), torch.zeros(())).backward()
        optimizer.step()
    for name, size in balance().items():
        assert size.exp().item() == pytest.approx(losses[name].item(), rel=0.02)
