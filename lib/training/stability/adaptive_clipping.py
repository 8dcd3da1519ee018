"""Clips each tensor's gradient by what is usual for that tensor, on the device.

Source: Wang et al., "AdaGC: Improving Training Stability for Large Language Model Pretraining", arXiv:2502.11034,
    algorithm 1. Here a step that is not applied, and a tensor without a gradient, leave their averages as they are.
"""

import math

import torch
from torch import Tensor

from lib.training.stability.guard_config import AdaGCConfig


class AdaptiveClipping:
    """Follows the usual norm of each tensor's gradient.

    Args:
        config: Its constants.
        num_tensors: Tensors that are trained, P.
        device: Where the gradients are.
    """

    def __init__(self, config: AdaGCConfig, num_tensors: int, device: torch.device) -> None:
        self._config = config
        # Infinite until a tensor has had a gradient: the first norm is the smallest so far.
        self._usual = torch.full((num_tensors,), math.inf, device=device)
        self._steps = torch.zeros((), dtype=torch.int64, device=device)

    def factors(self, norms: Tensor, accepted: Tensor) -> Tensor:
        """Return by what each gradient is to be multiplied, and take the step into the averages if it is applied.

        For the first steps all are clipped alike, by their common norm, and the smallest norm of each is noted. Later
        each is clipped to ``relative`` times its average, and the average follows what is left.

        Args:
            norms: Norm of each tensor's gradient, shape (P,); 0 without one.
            accepted: True if the step is applied, scalar.

        Returns:
            Factors from 0 to 1, shape (P,), of the dtype of the norms.
        """
        config, present = self._config, norms > 0
        warming = self._steps < config.warmup_steps
        common = (config.absolute / torch.linalg.vector_norm(norms)).clamp(max=1.0)
        own = (config.relative * self._usual / norms).clamp(max=1.0)
        # 0 / 0 without a gradient, which no factor changes.
        factors = torch.where(warming, common, own).masked_fill(~present, 1.0)
        clipped = norms * factors
        smallest = torch.minimum(self._usual, clipped)
        averaged = torch.lerp(clipped, self._usual, config.decay)
        # A tensor without a gradient so far has no average to go on from.
        usual = torch.where(warming | self._usual.isinf(), smallest, averaged)
        self._usual = torch.where(accepted & present, usual, self._usual)
        self._steps = self._steps + accepted
        return factors

    def state_dict(self) -> dict[str, Tensor]:
        """Return averages and steps so far."""
        return {"usual": self._usual, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> bool:
        """Go on with what ``state_dict`` returned; return False, and begin anew, if other tensors are trained now."""
        if state["usual"].shape != self._usual.shape:
            return False
        device = self._usual.device
        self._usual, self._steps = state["usual"].to(device), state["steps"].to(device)
        return True
