"""Global response normalization against its formula."""

import pytest
import torch
from torch import nn

from lib.nn.grn import GlobalResponseNorm, PointwiseLayers


@pytest.fixture
def response_norm():
    torch.manual_seed(1)
    layer = GlobalResponseNorm(6)
    nn.init.normal_(layer.gamma)
    nn.init.normal_(layer.beta)
    return layer


def test_it_follows_the_published_formula(response_norm) -> None:
    x = torch.randn(3, 10, 6)
    norm = torch.sqrt((x**2).sum(dim=1, keepdim=True))
    relative = norm / norm.mean(dim=2, keepdim=True)
    expected = response_norm.gamma * (x * relative) + response_norm.beta + x
    # The formula divides by the mean plus 1e-6.
    torch.testing.assert_close(response_norm(x), expected, rtol=1e-4, atol=1e-5)


def test_carrying_the_factors_in_the_weights_changes_nothing(response_norm) -> None:
    x, linear = torch.randn(3, 10, 6), nn.Linear(6, 4)
    torch.testing.assert_close(response_norm.then_linear(x, linear), linear(response_norm(x)), rtol=1e-5, atol=1e-5)


def test_it_starts_as_the_identity() -> None:
    x = torch.randn(2, 5, 4)
    assert torch.equal(GlobalResponseNorm(4)(x), x)


def test_an_image_of_zeros_has_finite_gradients(response_norm) -> None:
    x = torch.zeros(1, 5, 6, requires_grad=True)
    response_norm(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_events_do_not_see_each_other() -> None:
    torch.manual_seed(2)
    layers = PointwiseLayers(4)
    nn.init.normal_(layers.response_norm.gamma)
    x = torch.randn(3, 7, 4)
    torch.testing.assert_close(layers(x)[1:2], layers(x[1:2]))
