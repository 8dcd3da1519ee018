"""ConvNeXt blocks and patches."""

import pytest
import torch
from torch.nn import functional

from lib.nn.convnext import ConvNextBlock, PatchExpansion, PatchProjection, patch_grid


@pytest.mark.parametrize("shape", [(93, 44), (24, 6), (15, 24), (6, 5), (3, 2)])
def test_a_block_keeps_the_shape_of_every_face(shape) -> None:
    x = torch.randn(2, *shape, 8)
    assert ConvNextBlock(8)(x).shape == x.shape


def test_a_block_is_the_published_composition() -> None:
    torch.manual_seed(0)
    block, x = ConvNextBlock(4), torch.randn(2, 9, 8, 4)
    mixed = functional.conv2d(
        x.permute(0, 3, 1, 2).contiguous(), block.depthwise.weight, block.depthwise.bias, padding=3, groups=4
    )
    positions = mixed.permute(0, 2, 3, 1).reshape(2, 72, 4)
    torch.testing.assert_close(block(x), x + block.pointwise(positions).view_as(x))


def test_a_change_travels_three_pixels_through_the_convolution() -> None:
    block, x = ConvNextBlock(2), torch.zeros(1, 15, 15, 2)
    changed = x.clone()
    changed[0, 7, 7] = torch.tensor([1.0, -1.0])
    # Only the local part: the response norm compares whole images.
    moved = (block.depthwise(changed) != block.depthwise(x)).any(dim=-1)[0]
    rows, columns = torch.nonzero(moved, as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 10, 4, 10)


@pytest.mark.parametrize("patch", [1, 2, 3, 4])
def test_a_patch_projection_is_a_strided_convolution(patch) -> None:
    torch.manual_seed(0)
    layer, image = PatchProjection(3, 5, patch), torch.randn(2, 9, 7, 3)
    height, width = patch_grid((9, 7), patch)
    padded = functional.pad(image, (0, 0, 0, width * patch - 7, 0, height * patch - 9)).permute(0, 3, 1, 2)
    weight = layer.project.weight.view(5, patch, patch, 3).permute(0, 3, 1, 2)
    expected = functional.conv2d(padded, weight, layer.project.bias, stride=patch).permute(0, 2, 3, 1)
    torch.testing.assert_close(layer(image), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_expanding_undoes_projecting_when_the_weights_are_the_identity(patch) -> None:
    image = torch.randn(2, 9, 7, 3)
    width = 3 * patch * patch
    down, up = PatchProjection(3, width, patch), PatchExpansion(width, 3, patch, (9, 7))
    with torch.no_grad():
        for layer in (down.project, up.project):
            layer.weight.copy_(torch.eye(width))
            layer.bias.zero_()
    torch.testing.assert_close(up(down(image)), image)
