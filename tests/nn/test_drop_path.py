"""Stochastic depth."""

import pytest
import torch

from lib.nn.drop_path import DropPath, PathDraws, drop_path_rates


def test_evaluation_keeps_every_branch() -> None:
    branch = torch.randn(8, 3, 2)
    assert torch.equal(DropPath(0.9).eval()(branch), branch)


def test_training_drops_whole_events_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    out = DropPath(0.25).train()(torch.ones(4000, 3, 2))
    per_event = out.flatten(1)
    assert torch.equal(per_event.min(dim=1).values, per_event.max(dim=1).values)
    assert per_event.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    # Binomial error of the mean: sqrt(0.25 * 0.75 / 4000) / 0.75 = 0.009.
    assert out.mean().item() == pytest.approx(1.0, abs=0.04)


def test_rates_grow_from_zero_to_the_largest() -> None:
    assert drop_path_rates(0.2, 5) == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    assert drop_path_rates(0.2, 1) == [0.0]
    assert drop_path_rates(0.2, 0) == []


def test_the_rate_is_shown() -> None:
    assert repr(DropPath(0.3)) == "DropPath(rate=0.3)"


def test_draws_for_a_batch_do_not_depend_on_how_it_is_cut() -> None:
    model = torch.nn.Sequential(DropPath(0.5), torch.nn.Identity(), DropPath(0.0), DropPath(0.25)).train()
    draws = PathDraws(model)
    torch.manual_seed(1)
    draws.draw(64, torch.device("cpu"))
    draws.use_rows(0, 64)
    whole = model(torch.ones(64, 2))
    parts = []
    for first, last in ((0, 10), (10, 64)):
        draws.use_rows(first, last)
        parts.append(model(torch.ones(last - first, 2)))
    assert torch.equal(torch.cat(parts), whole)
    assert whole.unique().tolist() == pytest.approx([0.0, 2 / 0.75])
    draws.forget()
    assert model(torch.ones(3, 2)).shape == (3, 2)
