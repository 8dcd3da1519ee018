"""The blocks as their papers publish them: what the suite's own forms are measured against.

Images are kept as (B, C, H, W), normalizations permute them to and fro, and the response normalization is a step of
its own in the widest part of the block.

Source: Woo et al., "ConvNeXt V2", arXiv:2301.00808, and the code that the authors published with it.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.nn.convnext import ConvNextBlock, PatchProjection, patch_grid
from lib.nn.grn import GlobalResponseNorm, PointwiseLayers
from lib.nn.hexnext import HexNextBlock, NeighbourConvolution
from lib.nn.visible import VisiblePositions


def plain_form(model: nn.Module) -> nn.Module:
    """Return a copy of a model with every block in its plain form and the same weights."""
    plain = copy.deepcopy(model)
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            replacement = _plain_module(child)
            if replacement is not None:
                setattr(parent, name, replacement)
    return plain


def _plain_module(module: nn.Module) -> nn.Module | None:
    if isinstance(module, ConvNextBlock):
        return PlainConvNextBlock(module)
    if isinstance(module, HexNextBlock):
        return PlainHexNextBlock(module)
    if isinstance(module, PatchProjection) and module.patch > 1:
        return PlainPatchProjection(module)
    return PlainPointwiseLayers(module) if isinstance(module, PointwiseLayers) else None


class PlainPointwiseLayers(nn.Module):
    """LN, expansion, GELU, GRN and projection, one after the other, of features with channels last."""

    def __init__(self, layers: PointwiseLayers) -> None:
        super().__init__()
        self.norm, self.expand, self.project = layers.norm, layers.expand, layers.project
        self.response_norm = layers.response_norm

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Transform features of shape (B, ..., C), those alone where a mask of shape (B, ..., 1) is 1."""
        hidden = functional.gelu(self.expand(self.norm(x)))
        if mask is None:
            return self.project(respond(hidden, self.response_norm))
        return self.project(respond(hidden * mask, self.response_norm)) * mask


def respond(x: Tensor, norm: GlobalResponseNorm) -> Tensor:
    """Return features of shape (B, ..., C) after global response normalization."""
    positions = tuple(range(1, x.ndim - 1))
    squares = x.float().square().sum(dim=positions, keepdim=True)
    response = torch.sqrt(squares + 1e-12)
    response = response / (response.mean(dim=-1, keepdim=True) + 1e-6)
    return norm.gamma * (x * response) + norm.beta + x


class PlainConvNextBlock(nn.Module):
    """The block on images that lie as (B, C, H, W)."""

    def __init__(self, block: ConvNextBlock) -> None:
        super().__init__()
        dim = block.depthwise.in_channels
        size = block.depthwise.kernel_size[0]
        self.depthwise = nn.Conv2d(dim, dim, size, padding=size // 2, groups=dim)
        self.depthwise.weight, self.depthwise.bias = block.depthwise.weight, block.depthwise.bias
        self.pointwise = PlainPointwiseLayers(block.pointwise)
        self.drop_path = block.drop_path

    def forward(self, x: Tensor, visible: VisiblePositions | None = None) -> Tensor:
        """Transform (B, H, W, C); what goes from block to block lies as (B, C, H, W)."""
        image = x.permute(0, 3, 1, 2).contiguous()
        mask = None if visible is None else visible.mask.unflatten(1, x.shape[1:3])
        branch = self.pointwise(self.depthwise(image).permute(0, 2, 3, 1), mask)
        return (image + self.drop_path(branch.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)


class PlainPatchProjection(nn.Module):
    """The projection of patches as a convolution with a stride."""

    def __init__(self, projection: PatchProjection) -> None:
        super().__init__()
        self.patch = projection.patch
        self.project = projection.project

    def forward(self, x: Tensor) -> Tensor:
        """Project (B, H, W, in) to (B, h, w, out)."""
        height, width = patch_grid((x.shape[1], x.shape[2]), self.patch)
        image = x.permute(0, 3, 1, 2)
        padding = (0, width * self.patch - x.shape[2], 0, height * self.patch - x.shape[1])
        weight = self.project.weight.unflatten(1, (self.patch, self.patch, -1)).permute(0, 3, 1, 2)
        image = functional.conv2d(functional.pad(image, padding), weight, self.project.bias, stride=self.patch)
        return image.permute(0, 2, 3, 1)


class PlainHexNextBlock(nn.Module):
    """The block over a table of neighbours, its convolution summed direction by direction."""

    def __init__(self, block: HexNextBlock) -> None:
        super().__init__()
        self.depthwise: NeighbourConvolution = block.depthwise
        self.pointwise = PlainPointwiseLayers(block.pointwise)
        self.drop_path = block.drop_path

    def forward(self, x: Tensor, visible: VisiblePositions | None = None) -> Tensor:
        """Transform features of shape (B, N, C)."""
        table = self.depthwise.neighbours.unflatten(0, (x.shape[1], -1))
        padded = functional.pad(x, (0, 0, 0, 1))
        mixed = self.depthwise.bias.expand_as(x)
        for direction, weight in enumerate(self.depthwise.weight):
            mixed = mixed + weight * padded[:, table[:, direction]]
        return x + self.drop_path(self.pointwise(mixed, None if visible is None else visible.mask))
