"""Initial weights."""

from collections.abc import Iterable

from torch import nn

STANDARD_DEVIATION = 0.02
OUTPUT_STANDARD_DEVIATION = 1e-3


def initialize(module: nn.Module) -> None:
    """Draw the weights of all linear layers and convolutions below a module, and zero their biases.

    Source: truncated normal of width 0.02, as in ConvNeXt (arXiv:2201.03545).
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.trunc_normal_(layer.weight, std=STANDARD_DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def shrink_outputs(heads: Iterable[nn.Module]) -> None:
    """Give the last linear layer of each head weights so small that its output starts near zero."""
    for head in heads:
        output = [layer for layer in head.modules() if isinstance(layer, nn.Linear)][-1]
        nn.init.trunc_normal_(output.weight, std=OUTPUT_STANDARD_DEVIATION)
