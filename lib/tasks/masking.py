"""Which sensors are hidden: pure functions of a random generator."""

import torch
from torch import Tensor

# Products such as 0.29 * 100 fall a rounding error short of the whole number that is meant.
_ROUNDING = 1e-6


def count_hidden(num_valid: Tensor, mask_ratio: float) -> Tensor:
    """Return floor(mask_ratio * num_valid), of the same shape, int64."""
    # Single precision would miss whole numbers above a hundred by more than the allowance.
    return torch.floor(num_valid.double() * mask_ratio + _ROUNDING).long()


def draw_hidden(valid: Tensor, mask_ratio: float, generator: torch.Generator) -> Tensor:
    """Hide a share of the valid sensors of each event, all with the same probability.

    Args:
        valid: True for sensors with a value, shape (B, N). Others are never drawn.
        mask_ratio: floor(mask_ratio * number of valid sensors) are hidden in each event.
        generator: Source of randomness, on the device of ``valid``.

    Returns:
        True for hidden sensors, shape (B, N).
    """
    scores = torch.rand(valid.shape, generator=generator, device=valid.device)
    num_hidden = count_hidden(valid.sum(dim=1, keepdim=True), mask_ratio)
    order = torch.where(valid, scores, 2.0).argsort(dim=1)
    is_chosen = torch.arange(valid.shape[1], device=valid.device).expand_as(order) < num_hidden
    return torch.zeros_like(valid).scatter(1, order, is_chosen)


def batch_generator(seed: int, device: torch.device) -> torch.Generator:
    """Return a generator for what is drawn for one batch."""
    return torch.Generator(device).manual_seed(seed)
