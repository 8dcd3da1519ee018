"""Heads that read physical quantities off the tokens."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.models.anchors import Anchor
from lib.nn.precise import in_float32


class RegressionHead(nn.Module):
    """Two hidden layers over the tokens of all faces side by side, and over the summary of the event.

    Side by side, because where the light falls is told by which face saw it; a mean over faces would forget that.
    With a summary, what the layers say is a correction: it is added, in units of the anchor's error, to the anchor; and
    where logarithms of errors are said, they are added to the logarithm of the anchor's.

    Args:
        num_tokens: Tokens of an event.
        dim: Width of a token.
        hidden_dim: Width of the hidden layers.
        out_dim: Numbers that are predicted.
        num_features: Features of the summary; 0 without one.
    """

    def __init__(self, num_tokens: int, dim: int, hidden_dim: int, out_dim: int, num_features: int = 0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(num_tokens * dim)
        self.hidden = nn.Linear(num_tokens * dim, hidden_dim)
        self.skip = SummaryBranch(num_features, hidden_dim) if num_features else None
        self.second = PreciseLayer(hidden_dim)
        self.out = nn.Linear(hidden_dim, out_dim)

    def forward(self, tokens: Tensor, features: Tensor | None = None, anchor: Anchor | None = None) -> Tensor:
        """Return predictions of shape (B, out_dim).

        Args:
            tokens: Shape (B, T, D).
            features: Of the summary, shape (B, P).
            anchor: Scaled, of the first columns of the prediction.
        """
        hidden = self.hidden(self.norm(tokens.flatten(1))).float()
        if self.skip is not None and features is not None:
            hidden = hidden + in_float32(self.skip, features)
        hidden = in_float32(self.second, functional.gelu(hidden))
        said = linear_in_float32(hidden, self.out)
        if anchor is None:
            return said
        width = anchor.value.shape[1]
        values, log_errors = anchor.value + anchor.spread * said[:, :width], said[:, width:]
        if log_errors.shape[1] == width:
            # Predicted errors start from those of the anchor, too: 5 mm are a seventieth of the scale of v.
            log_errors = log_errors + torch.log(anchor.spread)
        return torch.cat([values, log_errors], dim=1)


class SummaryBranch(nn.Module):
    """Two layers over the summary of an event."""

    def __init__(self, num_features: int, hidden_dim: int) -> None:
        super().__init__()
        self.expand = nn.Linear(num_features, hidden_dim)
        self.project = nn.Linear(hidden_dim, hidden_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, hidden_dim) for features of shape (B, P)."""
        return self.project(functional.gelu(self.expand(features)))


class PreciseLayer(nn.Module):
    """A residual layer."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layer = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, dim)."""
        return x + functional.gelu(self.layer(x))


def linear_in_float32(x: Tensor, layer: nn.Linear) -> Tensor:
    """Return ``layer(x)`` in float32 also under autocast, for x of shape (B, C) and few outputs.

    bfloat16 rounds by up to 0.4 %, which is not small against an energy resolution of 1 %. Autocast lowers matrix
    products but no sums, so the product is written as one.
    """
    return (x.float()[:, None] * layer.weight).sum(dim=-1) + layer.bias
