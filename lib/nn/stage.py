"""A stage of a network: what brings an image or a lattice to the stage's channels, and its blocks."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional

from lib.nn.convnext import ConvNextBlock, PatchProjection, patch_grid
from lib.nn.hexnext import HexNextBlock
from lib.nn.visible import VisiblePositions


class Stage(nn.Module):
    """Blocks of one width, with a normalization and a projection of patches before them except in the first stage.

    Args:
        blocks: Blocks, which take features and the positions that are visible.
        entrance: Projection from the channels of the stage before.
    """

    def __init__(self, blocks: Iterable[ConvNextBlock | HexNextBlock], entrance: PatchProjection | None = None) -> None:
        super().__init__()
        self.entrance = entrance
        self.norm = nn.LayerNorm(entrance.in_dim) if entrance is not None else None
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Transform features.

        Args:
            x: Image of shape (B, H, W, C), or positions of shape (B, N, C).
            seen: Which positions are to be looked at, shape (B, H, W) or (B, N), true or false; None for all.

        Returns:
            The features, zero where nothing is seen, and which positions of them are seen: patches with something in
            them.
        """
        if self.norm is not None and self.entrance is not None:
            x = self.norm(x) if seen is None else self.norm(x) * seen[..., None]
            x = self.entrance(x)
            seen = seen if seen is None else seen_patches(seen, self.entrance.patch)
        if seen is None:
            for block in self.blocks:
                x = block(x)
            return x, None
        visible = VisiblePositions.of(seen.flatten(1))
        x = x * seen[..., None]
        for block in self.blocks:
            x = block(x, visible)
        return x, seen


def seen_patches(seen: Tensor, patch: int) -> Tensor:
    """Return which patches of an image of shape (B, H, W) have something in them, shape (B, h, w)."""
    if patch == 1:
        return seen
    height, width = patch_grid((seen.shape[1], seen.shape[2]), patch)
    padded = functional.pad(seen, (0, width * patch - seen.shape[2], 0, height * patch - seen.shape[1]))
    return padded.unflatten(1, (height, patch)).unflatten(3, (width, patch)).any(dim=4).any(dim=2)
