"""Decides on the device whether an optimizer step may happen.

A step whose loss or gradient norm is not finite changes nothing: not the weights, not the moments, not the averages.
The decision never waits for the device; it is read once per logging interval.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


@dataclass(frozen=True)
class GuardSummary:
    """What the guard saw since it was last asked.

    Attributes:
        steps: Steps that were judged.
        skipped: Steps that were not applied.
        norm_max: Largest finite gradient norm before clipping; 0 if there was none.
        norm_median: Median of the finite norms; 0 if there was none.
    """

    steps: int
    skipped: int
    norm_max: float
    norm_median: float


class Guard:
    """Judges accumulation windows and clips their gradients."""

    def __init__(self, grad_clip: float | None, device: torch.device) -> None:
        self._grad_clip = grad_clip
        self._device = device
        self._window_finite = torch.ones((), device=device)
        self._norms: list[Tensor] = []
        self._accepted: list[Tensor] = []

    def see_loss(self, loss: Tensor) -> Tensor:
        """Note whether the loss of one batch of the window is finite.

        Returns:
            1 or 0, scalar on the device: the weight of this batch in the sums of the epoch.
        """
        finite = torch.isfinite(loss.detach()).to(torch.float32)
        self._window_finite = self._window_finite * finite
        return finite

    @torch.no_grad()
    def judge(self, parameters: list[nn.Parameter]) -> Tensor:
        """Clip the gradients of a finished window and decide on its step.

        Args:
            parameters: The trainable parameters with their summed gradients.

        Returns:
            1 if the step may be applied, 0 if not; scalar on the device.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = get_total_norm(gradients)
        accepted = self._window_finite * torch.isfinite(norm)
        if self._grad_clip is not None:
            # A norm that is not finite makes every gradient so; the step is skipped then.
            torch._foreach_mul_(gradients, torch.clamp(self._grad_clip / (norm + 1e-6), max=1.0))
        self._norms.append(norm)
        self._accepted.append(accepted)
        self._window_finite = torch.ones((), device=self._device)
        return accepted

    def summary(self) -> GuardSummary:
        """Return what was seen since the last call, and forget it; waits for the device once."""
        if not self._norms:
            return GuardSummary(0, 0, 0.0, 0.0)
        norms, accepted = torch.stack([torch.stack(self._norms), torch.stack(self._accepted)]).cpu()
        self._norms, self._accepted = [], []
        # max() of a list with NaN hides or spreads it, so the finite norms are looked at alone.
        finite = norms[torch.isfinite(norms)]
        largest, median = (float(finite.max()), float(finite.median())) if len(finite) else (0.0, 0.0)
        return GuardSummary(len(norms), int((accepted == 0).sum()), largest, median)
