"""ConvNeXt V2 blocks on channels-last images."""

from torch import Tensor, nn
from torch.nn import functional

from lib.nn.depthwise import DepthwiseConvolution
from lib.nn.drop_path import DropPath
from lib.nn.grn import PointwiseLayers
from lib.nn.visible import VisiblePositions

KERNEL_SIZE = 7


class ConvNextBlock(nn.Module):
    """Mixes a 7 x 7 neighbourhood channel by channel, then the channels position by position; residual.

    Source: Woo et al., "ConvNeXt V2", arXiv:2301.00808.

    Args:
        dim: Number of channels.
        drop_path_rate: Probability of leaving the block out while training.
    """

    def __init__(self, dim: int, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.depthwise = DepthwiseConvolution(dim, KERNEL_SIZE)
        self.pointwise = PointwiseLayers(dim)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor, visible: VisiblePositions | None = None) -> Tensor:
        """Transform an image of shape (B, H, W, C), which is zero where it is not visible and stays so."""
        branch = self.pointwise(self.depthwise(x).flatten(1, 2), visible)  # (B, H, W, C) -> (B, H*W, C)
        return x + self.drop_path(branch).view_as(x)


class PatchProjection(nn.Module):
    """Projects square patches of an image to single positions: a convolution whose stride is its kernel.

    Sides that the patch does not divide are padded with zeros at their ends.

    Args:
        in_dim: Channels of the image.
        out_dim: Channels of the result.
        patch: Side of a patch.
    """

    def __init__(self, in_dim: int, out_dim: int, patch: int) -> None:
        super().__init__()
        self.in_dim, self.patch = in_dim, patch
        self.project = nn.Linear(in_dim * patch * patch, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Project an image of shape (B, H, W, in_dim) to (B, ceil(H / patch), ceil(W / patch), out_dim).

        With patches of one position, x may have any shape (..., in_dim).
        """
        if self.patch == 1:
            return self.project(x)
        height, width = patch_grid((x.shape[1], x.shape[2]), self.patch)
        x = functional.pad(x, (0, 0, 0, width * self.patch - x.shape[2], 0, height * self.patch - x.shape[1]))
        x = x.unflatten(1, (height, self.patch)).unflatten(3, (width, self.patch))
        return self.project(x.transpose(2, 3).flatten(3))  # (B, h, p, w, p, C) -> (B, h, w, p*p*C)


class PatchExpansion(nn.Module):
    """Unfolds single positions into square patches: the way back from ``PatchProjection``.

    Args:
        in_dim: Channels of a position.
        out_dim: Channels of the image.
        patch: Side of a patch.
        shape: (H, W) of the image; what the last patches have beyond it is cut off.
    """

    def __init__(self, in_dim: int, out_dim: int, patch: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.patch, self.shape = patch, shape
        self.project = nn.Linear(in_dim, out_dim * patch * patch)

    def forward(self, x: Tensor) -> Tensor:
        """Unfold (B, h, w, in_dim) to (B, H, W, out_dim)."""
        patches = self.project(x).unflatten(3, (self.patch, self.patch, -1))  # (B, h, w, p, p, C)
        image = patches.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return image[:, : self.shape[0], : self.shape[1]]


def patch_grid(shape: tuple[int, int], patch: int) -> tuple[int, int]:
    """Return how many patches cover an image of (H, W), the last ones partly."""
    return -(-shape[0] // patch), -(-shape[1] // patch)
