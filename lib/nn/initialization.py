"""Initial weights."""

from torch import nn

STANDARD_DEVIATION = 0.02


def initialize(module: nn.Module) -> None:
    """Draw the weights of all linear layers and convolutions below a module, and zero their biases.

    Source: truncated normal of width 0.02, as in ConvNeXt (arXiv:2201.03545).
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.trunc_normal_(layer.weight, std=STANDARD_DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
