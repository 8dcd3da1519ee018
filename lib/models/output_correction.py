"""What the validation has shown to be wrong with the outputs of a regressor as a whole, set right."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class OutputCorrection(nn.Module):
    """Gain and offset of each physical output: of the values, and of the errors beside them where there are some.

    They are no parameters: nothing is learnt through them. A fresh model corrects nothing.

    Args:
        head_dims: Numbers that each task predicts, values before errors, by task name.
    """

    def __init__(self, head_dims: Mapping[str, int]) -> None:
        super().__init__()
        self._widths = dict(head_dims)
        for name, width in head_dims.items():
            self.register_buffer(f"{name}_gain", torch.ones(width))
            self.register_buffer(f"{name}_offset", torch.zeros(width))

    def values(self, name: str, said: Tensor) -> Tensor:
        """Return the corrected values of a task, shape (B, width), in the unit of its target."""
        width = said.shape[1]
        return said * self._gain(name)[:width] + self._offset(name)[:width]

    def errors(self, name: str, said: Tensor) -> Tensor:
        """Return the corrected predicted errors of a task, shape (B, width), in the unit of its target."""
        return said * self._gain(name)[self._widths[name] - said.shape[1] :]

    @torch.no_grad()
    def set(self, name: str, *, gain: Tensor, offset: Tensor) -> None:
        """Correct a task from now on.

        Args:
            name: The task.
            gain: What values are multiplied with, then errors, shape (numbers of the head,).
            offset: What is added to values after that, in the unit of the target; 0 for errors; same shape.
        """
        self._gain(name).copy_(gain)
        self._offset(name).copy_(offset)

    def _gain(self, name: str) -> Tensor:
        return self.get_buffer(f"{name}_gain")

    def _offset(self, name: str) -> Tensor:
        return self.get_buffer(f"{name}_offset")
