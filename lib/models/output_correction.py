"""What the validation has shown to be wrong with the outputs of a regressor as a whole, set right."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

NUM_POWERS: Final = 3
"""Numbers that describe how a correction goes with the energy: constant, linear and square term."""
_ENERGY: Final = "energy"


class OutputCorrection(nn.Module):
    """Gain and offset of each physical output: of the values, and of the errors beside them where there are some.

    Both are parabolas in the predicted energy, the gain in its logarithm so that it is never negative; below and above
    the energies of the validation they stay what they are at its ends. A model that does not say the energy has
    constants. They are no parameters: nothing is learnt through them. A fresh model corrects nothing.

    Args:
        head_dims: Numbers that each task predicts, values before errors, by task name.
    """

    energies: Tensor

    def __init__(self, head_dims: Mapping[str, int]) -> None:
        super().__init__()
        self._widths = dict(head_dims)
        self.register_buffer("energies", torch.tensor([-1.0, 1.0]))
        for name, width in head_dims.items():
            self.register_buffer(f"{name}_log_gain", torch.zeros(NUM_POWERS, width))
            self.register_buffer(f"{name}_offset", torch.zeros(NUM_POWERS, width))

    def powers(self, said: Mapping[str, Tensor]) -> Tensor:
        """Return what the corrections of each event are made of, shape (B, 3).

        Args:
            said: What the heads said, by task name, shape (B, numbers of the head).
        """
        if _ENERGY in said:
            return self.powers_of(said[_ENERGY][:, :1].float())
        some = next(iter(said.values()))
        return torch.cat(
            [torch.ones_like(some[:, :1]), torch.zeros_like(some[:, :1]).expand(-1, NUM_POWERS - 1)], dim=1
        )

    def powers_of(self, energy: Tensor) -> Tensor:
        """Return the same for energies as their target scales them, shape (B, 1)."""
        lowest, highest = self.energies.unbind()
        place = 2.0 * (torch.minimum(torch.maximum(energy, lowest), highest) - lowest) / (highest - lowest) - 1.0
        return torch.cat([torch.ones_like(place), place, place.square()], dim=1)

    def values(self, name: str, said: Tensor, powers: Tensor) -> Tensor:
        """Return the corrected values of a task, shape (B, width), in the unit of its target."""
        width = said.shape[1]
        gain, offset = (self.get_buffer(f"{name}_{kind}")[:, :width] for kind in ("log_gain", "offset"))
        return said * torch.exp(_combine(powers, gain)) + _combine(powers, offset)

    def errors(self, name: str, said: Tensor, powers: Tensor) -> Tensor:
        """Return the corrected predicted errors of a task, shape (B, width), in the unit of its target."""
        gain = self.get_buffer(f"{name}_log_gain")[:, self._widths[name] - said.shape[1] :]
        return said * torch.exp(_combine(powers, gain))

    @torch.no_grad()
    def set_energies(self, lowest: float, highest: float) -> None:
        """Say between which energies, as their target scales them, the parabolas hold; from -1 to 1 in ``powers``."""
        self.energies.copy_(torch.tensor([lowest, highest]))

    @torch.no_grad()
    def set(self, name: str, *, log_gain: Tensor, offset: Tensor) -> None:
        """Correct a task from now on.

        Args:
            name: The task.
            log_gain: Logarithm of what values are multiplied with, then errors, shape (3, numbers of the head).
            offset: What is added to values after that, in the unit of the target; 0 for errors; same shape.
        """
        self.get_buffer(f"{name}_log_gain").copy_(log_gain)
        self.get_buffer(f"{name}_offset").copy_(offset)


def _combine(powers: Tensor, coefficients: Tensor) -> Tensor:
    """Return the sum of powers (B, 3) times coefficients (3, width), shape (B, width)."""
    # Not a matrix product, which autocast would round to bfloat16: picoseconds beside nanoseconds.
    return (powers[:, :, None] * coefficients).sum(dim=1)
