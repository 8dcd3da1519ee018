"""Decides on the device whether an optimizer step may happen.

A step whose loss or gradient norm is not finite changes nothing: not the weights, not the moments, not the averages,
not what the guard knows of usual norms. A step whose norm is far above the usual is skipped too, and one that is
somewhat above is scaled down. The decision never waits for the device; it is read once per logging interval. All ranks
of a training decide alike: what each has seen is summed over them once per step.
"""

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lib.training.ranks.distributed import sum_over_ranks, world_size
from lib.training.stability.adaptive_clipping import AdaptiveClipping
from lib.training.stability.guard_config import GuardConfig
from lib.training.stability.norm_window import NormWindow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GuardRecord:
    """What the guard decided on n steps, on the CPU.

    Attributes:
        norms: Gradient norm before clipping, shape (n,), float32.
        losses: Mean loss of the window over its batches and over all ranks, shape (n,), float64; NaN where not finite.
        finite: True where loss and gradient were finite on every rank, shape (n,).
        accepted: True where the step was applied, shape (n,).
        parameter_norms: Norm of each parameter's gradient, shape (n, P); 0 where there was none.
    """

    norms: Tensor
    losses: Tensor
    finite: Tensor
    accepted: Tensor
    parameter_norms: Tensor


class Guard:
    """Judges accumulation windows and clips their gradients.

    Args:
        config: What is usual, and what is done about the rest.
        grad_clip: Ceiling of the norm; None for none.
        device: Where the gradients are.
        num_tensors: Parameters that are trained.
    """

    def __init__(self, config: GuardConfig, grad_clip: float | None, device: torch.device, *, num_tensors: int) -> None:
        self._grad_clip = grad_clip
        self._device = device
        self._usual = NormWindow(config, device) if config.enabled else None
        self._adaptive = AdaptiveClipping(config.adagc, num_tensors, device) if config.adagc.enabled else None
        self._window_losses: list[Tensor] = []
        self._seen: list[tuple[Tensor, ...]] = []

    def see_loss(self, loss: Tensor) -> Tensor:
        """Note whether the loss of one batch of the window is finite.

        Returns:
            True or False, scalar on the device: whether this batch counts in the sums of the epoch.
        """
        self._window_losses.append(loss.detach())
        return torch.isfinite(self._window_losses[-1])

    @torch.no_grad()
    def judge(self, parameters: list[nn.Parameter]) -> Tensor:
        """Clip the gradients of a finished window and decide on its step.

        Args:
            parameters: The trainable parameters with their summed gradients.

        Returns:
            1 if the step may be applied, 0 if not; scalar on the device.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        parameter_norms = torch.stack(torch._foreach_norm(gradients))
        own_norm = torch.linalg.vector_norm(parameter_norms)
        finite, norm, loss = self._agree(own_norm)
        limit = torch.full((), self._grad_clip or torch.inf, device=self._device)
        accepted = finite
        if self._usual is not None:
            judgement = self._usual.judge(norm, finite)
            accepted = finite & judgement.usual
            limit = torch.minimum(limit, judgement.limit.to(limit.dtype))
        norms = _with_gaps(parameter_norms, parameters)
        if self._adaptive is not None:
            factors = self._adaptive.factors(norms, accepted)
            norm = torch.linalg.vector_norm(norms * factors)
            own = [factor for factor, one in zip(factors.unbind(), parameters, strict=True) if one.grad is not None]
            torch._foreach_mul_(gradients, own)
        # A norm that is not finite makes every gradient so; the step is skipped then.
        torch._foreach_mul_(gradients, torch.clamp(limit / (norm + 1e-6), max=1.0))
        self._seen.append((own_norm, loss, finite, accepted, norms))
        return accepted.to(torch.float32)

    def _agree(self, norm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return whether all ranks saw finite losses and gradients, and their mean norm and loss, NaN where not.

        Gradients are averaged over ranks before they are judged, so the norms are one already; the mean makes it
        certain that no rounding lets two ranks decide differently.
        """
        loss = torch.stack(self._window_losses).double().mean()
        self._window_losses = []
        finite = torch.isfinite(norm) & torch.isfinite(loss)
        # One collective for everything; what is not finite on one rank must not hide what the others say.
        seen = torch.stack([finite.double(), norm.double(), loss]).masked_fill(~finite, 0.0)
        num_finite, norm_sum, loss_sum = sum_over_ranks(seen).unbind()
        ranks = world_size()
        agreed = num_finite == ranks
        mean = torch.stack([norm_sum, loss_sum]).masked_fill(~agreed, torch.nan) / ranks
        return agreed, mean[0].to(norm.dtype), mean[1]

    def drain(self) -> GuardRecord | None:
        """Return what was decided since the last call, and forget it; waits for the device once."""
        if not self._seen:
            return None
        norms, losses, finite, accepted, parameter_norms = (
            torch.stack(column).cpu() for column in zip(*self._seen, strict=True)
        )
        self._seen = []
        return GuardRecord(norms.float(), losses, finite, accepted, parameter_norms)

    def state_dict(self) -> dict[str, Any]:
        """Return what decisions depend on."""
        usual = dict(self._usual.state_dict()) if self._usual else {}
        return {**usual, **({"adagc": self._adaptive.state_dict()} if self._adaptive else {})}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what ``state_dict`` returned; with another configuration of the window it begins anew."""
        usual = dict(state)
        adaptive = usual.pop("adagc", None)
        if self._usual is not None and not self._usual.load_state_dict(usual):
            logger.info("training.guard: the window of gradient norms begins anew")
        if self._adaptive is not None and (adaptive is None or not self._adaptive.load_state_dict(adaptive)):
            logger.info("training.guard.adagc: the averages of gradient norms begin anew")


def _with_gaps(norms: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """Return one norm per parameter, shape (P,), with 0 for those without a gradient."""
    if len(norms) == len(parameters):
        return norms
    present = [index for index, parameter in enumerate(parameters) if parameter.grad is not None]
    return torch.zeros(len(parameters), device=norms.device).index_copy(
        0, torch.tensor(present, device=norms.device), norms
    )
