"""Activation checkpointing: memory for time."""

import functools

from torch import nn
from torch.utils.checkpoint import checkpoint

from lib.nn.convnext import ConvNextBlock
from lib.nn.hexnext import HexNextBlock
from lib.nn.transformer import TransformerLayer

BLOCKS = (ConvNextBlock, HexNextBlock, TransformerLayer)


def recompute_blocks(model: nn.Module) -> int:
    """Let every block of a model keep its input alone and compute its inside again for the backward pass.

    Names of parameters stay as they are.

    Source: Chen et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174.

    Returns:
        Number of blocks.
    """
    blocks = [module for module in model.modules() if isinstance(module, BLOCKS)]
    for block in blocks:
        block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
    return len(blocks)
