"""Exponentially averaged weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """A running average of the trainable weights of a model.

    Early averages would remember the initialization for 1 / (1 - decay) steps, so the decay grows with the step:
    min(decay, (1 + step) / (10 + step)).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self._weights: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._averages = [weight.detach().clone() for weight in self._weights]

    @torch.no_grad()
    def update(self, step: int, accepted: Tensor) -> None:
        """Move the averages towards the weights.

        Args:
            step: Optimizer step, counted from 0.
            accepted: 1 where the step was applied, 0 where it was skipped; scalar on the device, never read here.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        difference = torch._foreach_sub(self._weights, self._averages)
        torch._foreach_mul_(difference, (1.0 - decay) * accepted)
        torch._foreach_add_(self._averages, difference)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Put the averages into the model for the length of the block."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for weight, average in zip(self._weights, self._averages, strict=True):
            kept = weight.detach().clone()
            weight.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averages by parameter name."""
        return dict(zip(self._names, self._averages, strict=True))

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over averages that ``state_dict`` returned; raises KeyError if a parameter is missing."""
        for name, average in zip(self._names, self._averages, strict=True):
            average.copy_(state[name])
