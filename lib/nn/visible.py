"""Positions of an image that may be looked at."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class VisiblePositions:
    """Which positions of each event are visible, and where they lie.

    Attributes:
        mask: 1 where visible, 0 elsewhere, shape (B, N, 1), float.
        order: The visible positions of each event, in front of as many hidden ones as make all events equally long,
            shape (B, M); None where layers shall run over all positions instead.
        present: 1 for the visible ones of ``order``, shape (B, M, 1); None like that.
    """

    mask: Tensor
    order: Tensor | None = None
    present: Tensor | None = None

    @classmethod
    def of(cls, visible: Tensor) -> "VisiblePositions":
        """Return the positions of a mask of shape (B, N), true where visible.

        How many there are decides the shape of ``order``: a GPU would have to be waited for, and compilers and
        exporters want one shape, so there it is None.
        """
        mask = visible[..., None].float()
        if torch.compiler.is_compiling() or visible.device.type != "cpu":
            return cls(mask)
        longest = int(visible.sum(dim=1).max())
        order = visible.to(torch.uint8).sort(dim=1, descending=True, stable=True).indices[:, :longest]
        return cls(mask, order, mask.gather(1, order[..., None]))

    def pick(self, x: Tensor) -> Tensor:
        """Return the visible positions of (B, N, C), zeros behind them where an event has fewer, shape (B, M, C)."""
        assert self.order is not None
        assert self.present is not None
        rows = x.gather(1, self.order[..., None].expand(-1, -1, x.shape[2]))
        return rows * self.present.to(x.dtype)

    def put_back(self, rows: Tensor) -> Tensor:
        """Return (B, N, C) with the rows where ``pick`` found them, and zeros elsewhere."""
        assert self.order is not None
        assert self.present is not None
        whole = rows.new_zeros(len(rows), self.mask.shape[1], rows.shape[2])
        return whole.scatter(1, self.order[..., None].expand_as(rows), rows * self.present.to(rows.dtype))

    def count_hidden_rows(self) -> Tensor:
        """Return how many of the rows of ``pick`` are hidden, shape (B, 1, 1)."""
        assert self.present is not None
        return self.present.shape[1] - self.present.sum(dim=1, keepdim=True)
