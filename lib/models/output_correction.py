"""What the validation has shown to be wrong with the outputs of a regressor as a whole, set right."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

NUM_POWERS: Final = 3
"""Numbers that describe how values are corrected: constant, linear and square term in the energy."""
NUM_NODES: Final = 16
"""Energies between which the factors of predicted errors go straight."""
_ENERGY: Final = "energy"


class EnergyTerms(NamedTuple):
    """What the corrections of events are made of.

    Attributes:
        powers: 1, place in the spectrum and its square, shape (B, 3).
        shares: Weight of each node; they add up to 1; shape (B, 16).
    """

    powers: Tensor
    shares: Tensor


class OutputCorrection(nn.Module):
    """Gain and offset of each physical value, and gain of the errors beside them where there are some.

    The corrections of values are parabolas in the predicted energy: what has a slope of its own within the resolution
    would change the resolution. Predicted errors have steps, where the spectrum that was trained on ends, and follow
    nodes. Gains are corrected in their logarithm so that they are never negative. Below and above the energies of the
    validation all stay what they are at its ends. A model that does not say the energy has constants. They are no
    parameters: nothing is learnt through them. A fresh model corrects nothing.

    Args:
        head_dims: Numbers that each task predicts, values before errors, by task name.
    """

    energies: Tensor
    nodes: Tensor

    def __init__(self, head_dims: Mapping[str, int]) -> None:
        super().__init__()
        self._widths = dict(head_dims)
        self.register_buffer("energies", torch.tensor([-1.0, 1.0]))
        self.register_buffer("nodes", torch.linspace(-1.0, 1.0, NUM_NODES))
        for name, width in head_dims.items():
            self.register_buffer(f"{name}_log_gain", torch.zeros(NUM_POWERS, width))
            self.register_buffer(f"{name}_offset", torch.zeros(NUM_POWERS, width))
            self.register_buffer(f"{name}_log_error_gain", torch.zeros(NUM_NODES, width))

    def terms(self, said: Mapping[str, Tensor]) -> EnergyTerms:
        """Return what the corrections of each event are made of.

        Args:
            said: What the heads said, by task name, shape (B, numbers of the head).
        """
        if _ENERGY in said:
            return self.terms_of(said[_ENERGY][:, :1].float())
        some = next(iter(said.values()))[:, :1]
        first = [
            torch.cat([torch.ones_like(some), torch.zeros_like(some).expand(-1, number - 1)], dim=1)
            for number in (NUM_POWERS, NUM_NODES)
        ]
        return EnergyTerms(*first)

    def terms_of(self, energy: Tensor) -> EnergyTerms:
        """Return the same for energies as their target scales them, shape (B, 1)."""
        lowest, highest = self.energies.unbind()
        place = 2.0 * (torch.minimum(torch.maximum(energy, lowest), highest) - lowest) / (highest - lowest) - 1.0
        one = torch.ones_like(place)
        passed = ((energy - self.nodes[:-1]) / (self.nodes[1:] - self.nodes[:-1])).clamp(0.0, 1.0)
        shares = torch.cat([one, passed], dim=1) - torch.cat([passed, torch.zeros_like(one)], dim=1)
        return EnergyTerms(torch.cat([one, place, place.square()], dim=1), shares)

    def values(self, name: str, said: Tensor, terms: EnergyTerms) -> Tensor:
        """Return the corrected values of a task, shape (B, width), in the unit of its target."""
        width = said.shape[1]
        gain, offset = (self.get_buffer(f"{name}_{kind}")[:, :width] for kind in ("log_gain", "offset"))
        return said * torch.exp(_combine(terms.powers, gain)) + _combine(terms.powers, offset)

    def errors(self, name: str, said: Tensor, terms: EnergyTerms) -> Tensor:
        """Return the corrected predicted errors of a task, shape (B, width), in the unit of its target."""
        gain = self.get_buffer(f"{name}_log_error_gain")[:, self._widths[name] - said.shape[1] :]
        return said * torch.exp(_combine(terms.shares, gain))

    @torch.no_grad()
    def set_energies(self, lowest: float, highest: float, nodes: Tensor) -> None:
        """Say which energies, as their target scales them, corrections refer to.

        Args:
            lowest: Of the parabolas, -1 in ``EnergyTerms.powers``.
            highest: Of the parabolas, 1 there.
            nodes: Rising, shape (16,).
        """
        self.energies.copy_(torch.tensor([lowest, highest]))
        self.nodes.copy_(nodes)

    @torch.no_grad()
    def set(self, name: str, *, log_gain: Tensor, offset: Tensor, log_error_gain: Tensor) -> None:
        """Correct a task from now on; of each argument, columns of values come before those of errors.

        Args:
            name: The task.
            log_gain: Logarithm of what values are multiplied with, shape (3, numbers of the head).
            offset: What is added to values after that, in the unit of the target; same shape.
            log_error_gain: Logarithm of what errors are multiplied with at each node, shape (16, numbers of the head).
        """
        self.get_buffer(f"{name}_log_gain").copy_(log_gain)
        self.get_buffer(f"{name}_offset").copy_(offset)
        self.get_buffer(f"{name}_log_error_gain").copy_(log_error_gain)


def _combine(terms: Tensor, coefficients: Tensor) -> Tensor:
    """Return the sum of terms (B, T) times coefficients (T, width), shape (B, width)."""
    # Not a matrix product, which autocast would round to bfloat16: picoseconds beside nanoseconds.
    return (terms[:, :, None] * coefficients).sum(dim=1)
