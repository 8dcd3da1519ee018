"""Layers that run over visible positions must give what they give for an event of these positions alone."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.nn.convnext import ConvNextBlock, PatchProjection
from lib.nn.grn import PointwiseLayers
from lib.nn.stage import Stage, seen_patches
from lib.nn.visible import VisiblePositions


def random_weights(module: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture
def seen() -> Tensor:
    """Three events of 60 positions: some, all and none visible."""
    torch.manual_seed(4)
    return torch.stack([torch.rand(60) < 0.4, torch.ones(60, dtype=torch.bool), torch.zeros(60, dtype=torch.bool)])


def forms(seen: Tensor) -> list[VisiblePositions]:
    """Return the positions for layers that run over them alone, and for layers that run over all."""
    packed = VisiblePositions.of(seen)
    return [packed, VisiblePositions(packed.mask)]


def test_what_is_put_back_lies_where_it_was(seen) -> None:
    x = torch.randn(3, 60, 4)
    visible = VisiblePositions.of(seen)
    assert visible.pick(x).shape == (3, 60, 4)
    assert torch.equal(visible.put_back(visible.pick(x)), x * seen[..., None])
    assert VisiblePositions.of(seen[::2]).pick(x[::2]).shape == (2, int(seen[0].sum()), 4)
    assert torch.equal(visible.count_hidden_rows().flatten(), 60.0 - seen.sum(dim=1))


@pytest.mark.parametrize("form", [0, 1])
def test_pointwise_layers_see_the_visible_positions_alone(form, seen) -> None:
    layers, x = random_weights(PointwiseLayers(16)), torch.randn(3, 60, 16)
    said = layers(x, forms(seen)[form])
    for event in range(3):
        # Sums of squares over up to 60 positions in another order, and zeros of the padding subtracted.
        alone = layers(x[event : event + 1, seen[event]])[0]
        torch.testing.assert_close(said[event, seen[event]], alone, rtol=1e-4, atol=1e-4)
        assert not said[event, ~seen[event]].any()


def test_both_forms_have_the_same_gradients(seen) -> None:
    layers, leaf = random_weights(PointwiseLayers(16)), torch.randn(3, 60, 16, requires_grad=True)
    found = []
    for visible in forms(seen):
        layers.zero_grad()
        leaf.grad = None
        layers(leaf * visible.mask, visible).square().sum().backward()
        found.append([leaf.grad, *(parameter.grad for parameter in layers.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_nothing_visible_at_all_gives_zeros_and_finite_gradients(seen) -> None:
    layers, leaf = random_weights(PointwiseLayers(16)), torch.randn(1, 60, 16, requires_grad=True)
    for visible in forms(seen[2:]):
        said = layers(leaf, visible)
        said.sum().backward()
        assert not said.any()
        assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("shape", [(4, 6), (5, 7)])
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_a_patch_is_seen_if_anything_of_it_is(shape, patch) -> None:
    torch.manual_seed(5)
    seen = torch.rand(2, *shape) < 0.2
    expected = functional.max_pool2d(seen.float()[:, None], patch, patch, ceil_mode=True)[:, 0] > 0
    assert torch.equal(seen_patches(seen, patch), expected)


def test_a_stage_is_blind_to_what_is_hidden_before_and_behind_its_entrance() -> None:
    stage = random_weights(Stage([ConvNextBlock(16), ConvNextBlock(16)], PatchProjection(8, 16, 2))).eval()
    seen = torch.rand(2, 9, 8) < 0.3
    seen[0, :4, :4] = False
    x = torch.randn(2, 9, 8, 8)
    said, still_seen = stage(x, seen)
    spoilt, _ = stage(torch.where(seen[..., None], x, 1e3), seen)
    assert torch.equal(said, spoilt)
    assert torch.equal(still_seen, seen_patches(seen, 2))
    assert not said[~still_seen].any()
    assert said[still_seen].any(dim=-1).all()


def test_a_stage_that_sees_everything_is_the_plain_one() -> None:
    stage = random_weights(Stage([ConvNextBlock(16)], PatchProjection(8, 16, 2))).eval()
    x = torch.randn(2, 8, 8, 8)
    said, seen = stage(x, torch.ones(2, 8, 8, dtype=torch.bool))
    assert seen.all()
    torch.testing.assert_close(said, stage(x)[0], rtol=1e-4, atol=1e-4)
