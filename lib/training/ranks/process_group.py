"""Joins the processes that a launcher started, and lets them end together."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from lib.errors import ConfigError, UserError
from lib.training.ranks.distributed import rank, world_size

logger = logging.getLogger(__name__)

T = TypeVar("T")

MEETING_SECONDS = 600
# Longer than any step; a process that waits for a stopped one is ended by its watchdog, which knows what it waits for.
COLLECTIVE_SECONDS = 3600
EXIT_USER_ERROR = 2


@contextmanager
def joined_processes() -> Iterator[None]:
    """Train together with the other processes of torchrun for the length of the block; alone without torchrun.

    Raises:
        ConfigError: If the processes do not find each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(local_gpu())
        # What the hosts agree on must not wait for the devices.
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=MEETING_SECONDS))
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"the {os.environ['WORLD_SIZE']} processes did not find each other within {MEETING_SECONDS} s ({error}). "
            "Start them by torchrun, with the same --nnodes and --rdzv_endpoint on all nodes."
        ) from error
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=COLLECTIVE_SECONDS))
    logger.info("%d processes train together", world_size())
    yield
    # Not after a failure: the others may never come here.
    wait_for_all()
    dist.destroy_process_group()


def local_gpu() -> int:
    """Return the number of this process's GPU on its node.

    Raises:
        ConfigError: If there are more processes than GPUs.
    """
    number, available = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= available:
        raise ConfigError(
            f"process {number} of this node has no GPU: {available} are visible. Start one process per GPU, "
            f"--nproc_per_node={available}."
        )
    return number


def wait_for_all() -> None:
    """Wait until every rank has come here; the first one may write figures meanwhile."""
    if world_size() > 1:
        dist.all_reduce(torch.zeros(1))


def from_first_rank(make: Callable[[], T]) -> T:
    """Return what the first rank made, on all of them; what depends on clocks and files must not differ.

    Raises:
        SystemExit: With code 2 on all ranks if it is the user's mistake; the first rank has told it.
    """
    made: list[T | None] = [None]

    def make_once() -> None:
        if rank() == 0:
            made[0] = make()

    alike(make_once)
    if world_size() > 1:
        dist.broadcast_object_list(made)
    return made[0]  # type: ignore[return-value]


def alike(work: Callable[[], T]) -> T:
    """Do something on every rank and return its result; if one rank refuses, all end with one message.

    Args:
        work: Must not wait for other ranks.

    Raises:
        UserError: Alone, what the work raised.
        SystemExit: With code 2 on all ranks if it was raised on any of several.
    """
    if world_size() == 1:
        return work()
    message, result = "", None
    try:
        result = work()
    except UserError as error:
        message = str(error)
    messages: list[str] = [""] * world_size()
    dist.all_gather_object(messages, message)
    if any(messages):
        if rank() == 0:
            for text in dict.fromkeys(filter(None, messages)):
                who = [str(number) for number, one in enumerate(messages) if one == text]
                where = "" if len(who) == world_size() or who == ["0"] else f"rank {', '.join(who)}: "
                sys.stderr.write(f"error: {where}{text}\n")
            sys.stderr.flush()
        wait_for_all()
        # Threads of the group that are left to the end of the interpreter may abort it instead of this code.
        dist.destroy_process_group()
        sys.exit(EXIT_USER_ERROR)
    return result  # type: ignore[return-value]


def copy_from_first_rank(model: nn.Module) -> None:
    """Give every rank the parameters and buffers of the first one."""
    if world_size() == 1:
        return
    for value in model.state_dict().values():
        dist.broadcast(value, 0)
