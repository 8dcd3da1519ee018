"""torch.compile, if the configuration asks for it."""

import logging
from typing import cast

import torch
from torch import nn

from lib.training.config import TrainingConfig

logger = logging.getLogger(__name__)


def compiled(model: nn.Module, config: TrainingConfig) -> nn.Module:
    """Return the model compiled in the configured mode, or as it is.

    The compiled module shares its parameters with the model; the first step of each batch shape compiles.
    """
    mode = config.compile_mode
    if mode == "none":
        return model
    logger.info("torch.compile in mode %s: the first step takes minutes", mode)
    # The compiled module is an nn.Module too, which torch's annotation does not say.
    return cast(nn.Module, torch.compile(model, mode=mode, fullgraph=config.compile_fullgraph))
