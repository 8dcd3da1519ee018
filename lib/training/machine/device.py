"""The device that models run on."""

import logging

import torch

from lib.training.ranks.distributed import world_size
from lib.training.ranks.process_group import local_gpu

logger = logging.getLogger(__name__)


def choose_device(cpu_threads: int | None = None) -> torch.device:
    """Return the GPU if there is one, else the CPU, and say so.

    Args:
        cpu_threads: Threads that compute on a CPU; None leaves them to OMP_NUM_THREADS and torch.
    """
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        number = local_gpu()
        logger.info("device: %s", torch.cuda.get_device_name(number))
        return torch.device("cuda", number) if world_size() > 1 else torch.device("cuda")
    if cpu_threads is not None:
        torch.set_num_threads(cpu_threads)
    logger.info("device: CPU with %d threads; no GPU is visible", torch.get_num_threads())
    return torch.device("cpu")
