"""The device that models run on."""

import logging

import torch

from lib.training.distributed import world_size
from lib.training.process_group import local_gpu

logger = logging.getLogger(__name__)


def choose_device() -> torch.device:
    """Return the GPU if there is one, else the CPU, and say so."""
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        number = local_gpu()
        logger.info("device: %s", torch.cuda.get_device_name(number))
        return torch.device("cuda", number) if world_size() > 1 else torch.device("cuda")
    logger.info("device: CPU with %d threads; no GPU is visible", torch.get_num_threads())
    return torch.device("cpu")
