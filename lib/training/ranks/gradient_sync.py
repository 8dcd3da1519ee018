"""Sums the gradients of one step over the ranks by DistributedDataParallel, whatever happens on one of them."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.hooks import RemovableHandle

from lib.training.ranks.distributed import largest_of_ranks, world_size

T = TypeVar("T")


class _Deferred(nn.Module):
    """Runs what it is given; owns the parameters alone, since buffers are the same everywhere from the beginning."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__()
        self.parameters_of_model = nn.ParameterList(parameters)

    def forward(self, run: Callable[[], object]) -> object:
        return run()


class GradientSync:
    """Adds up gradients over micro-batches, and over ranks in the last backward pass of a step.

    Every rank takes part in the sum of every step: one whose last backward pass broke off, or never began, sends zeros
    for what is missing, so that none is waited for, and all then agree that the step is to be taken again.

    Args:
        model: What is trained; already on the device, the same on all ranks.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        # Those that learn now: what is frozen may thaw, and has no part in any sum until then.
        self._parameters: list[nn.Parameter] = []
        self._hooks: list[RemovableHandle] = []
        self._wrapper: DistributedDataParallel | None = None
        # Parameters whose gradient of this step is on its way to the other ranks.
        self._sent: set[int] = set()
        self._is_open = False

    @property
    def scale(self) -> float:
        """What losses are multiplied with, because the wrapper takes the mean over ranks and the sum is wanted."""
        return float(world_size())

    def begin(self) -> None:
        """Begin a step; with the first one of several ranks the model is wrapped, by all of them together.

        Likewise when other parameters learn than before: a wrapper knows only those that did when it was made.
        """
        self._sent.clear()
        self._is_open = False
        if world_size() == 1:
            return
        learning = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        if self._wrapper is None or len(learning) != len(self._parameters):
            self._wrap(learning)

    def _wrap(self, learning: list[nn.Parameter]) -> None:
        # The hooks of an older wrapper would go on summing.
        self._wrapper = None
        for hook in self._hooks:
            hook.remove()
        self._parameters = learning
        # Gradients of images with channels innermost; they are copied into the buckets either way.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        self._wrapper = DistributedDataParallel(_Deferred(learning), gradient_as_bucket_view=True, init_sync=False)
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(lambda _, index=index: self._note(index))
            for index, parameter in enumerate(learning)
        ]

    def _note(self, index: int) -> None:
        if self._is_open:
            self._sent.add(index)

    def part(self, *, is_last: bool) -> AbstractContextManager[object]:
        """Return the context of forward and backward pass of one micro-batch.

        Args:
            is_last: Whether it is the last one of the step, in whose backward pass the sums are taken.
        """
        if self._wrapper is None or is_last:
            return nullcontext()
        return cast(AbstractContextManager[object], self._wrapper.no_sync())

    def forward(self, run: Callable[[], T], *, is_last: bool) -> T:
        """Return what a forward pass gives."""
        if self._wrapper is None:
            return run()
        result = cast(T, self._wrapper(run))
        self._is_open = is_last
        return result

    def agree(self, verdict: int) -> int:
        """Finish the sum of this step, and return the largest verdict of all ranks.

        A parameter that no rank has a gradient for keeps none, so that it does not decay either.
        """
        if self._wrapper is None:
            return verdict
        has_gradient = [int(parameter.grad is not None) for parameter in self._parameters]
        self._send_missing(self._wrapper)
        agreed, *owned = largest_of_ranks(torch.tensor([verdict, *has_gradient])).tolist()
        for parameter, is_owned in zip(self._parameters, owned, strict=True):
            if not is_owned:
                parameter.grad = None
        return int(agreed)

    def _send_missing(self, wrapper: DistributedDataParallel) -> None:
        if not self._is_open:
            wrapper(lambda: None)
            self._is_open = True
        missing = [one for index, one in enumerate(self._parameters) if index not in self._sent]
        if missing:
            _zero_through(missing).backward()


def _zero_through(parameters: list[nn.Parameter]) -> Tensor:
    """Return 0, with a gradient of zeros for each parameter."""
    return torch.stack([torch.zeros_like(one).mul(one).sum().float() for one in parameters]).sum()
