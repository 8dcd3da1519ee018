"""Which sensors are hidden: pure functions of a random generator.

Each way of hiding gives every sensor a score; of each event the valid sensors with the lowest scores are hidden.
Sensors without a value are never hidden.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import NUM_FACES, NUM_SENSORS, nominal_sensors

# Products such as 0.29 * 100 fall a rounding error short of the whole number that is meant.
_ROUNDING = 1e-6
_LEAST_UNIFORM: Final = 1e-12


def count_hidden(num_valid: Tensor, mask_ratio: float | Tensor) -> Tensor:
    """Return floor(mask_ratio * num_valid), of the same shape, int64."""
    # Single precision would miss whole numbers above a hundred by more than the allowance.
    return torch.floor(num_valid.double() * mask_ratio + _ROUNDING).long()


def hide_lowest(scores: Tensor, valid: Tensor, mask_ratio: float | Tensor) -> Tensor:
    """Hide floor(mask_ratio * number of valid sensors) of each event: those with the lowest scores.

    Args:
        scores: Finite numbers, shape (B, N).
        valid: True for sensors with a value, shape (B, N). Others are never hidden.
        mask_ratio: Share of the valid sensors, or that of each event, shape (B, 1).

    Returns:
        True for hidden sensors, shape (B, N).
    """
    num_hidden = count_hidden(valid.sum(dim=1, keepdim=True), mask_ratio)
    order = torch.where(valid, scores, torch.inf).argsort(dim=1)
    is_chosen = torch.arange(valid.shape[1], device=valid.device).expand_as(order) < num_hidden
    return torch.zeros_like(valid).scatter(1, order, is_chosen)


def draw_hidden(valid: Tensor, mask_ratio: float, generator: torch.Generator) -> Tensor:
    """Hide a share of the valid sensors of each event, all with the same probability.

    Args:
        valid: True for sensors with a value, shape (B, N). Others are never drawn.
        mask_ratio: floor(mask_ratio * number of valid sensors) are hidden in each event.
        generator: Source of randomness, on the device of ``valid``.

    Returns:
        True for hidden sensors, shape (B, N).
    """
    return hide_lowest(_uniform(valid, generator), valid, mask_ratio)


def weighted_scores(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Return scores by which sensors are drawn one after another with probabilities in proportion to a weight.

    Args:
        weight: Above 0, shape (B, N).
        generator: Source of randomness, on the device of ``weight``.

    Source: P. S. Efraimidis and P. G. Spirakis, "Weighted random sampling with a reservoir", Inf. Process. Lett. 97,
        181 (2006), in its exponential form.
    """
    return -_uniform(weight, generator).clamp_min(_LEAST_UNIFORM).log() / weight


def quantile_bins(npho: Tensor, valid: Tensor, num_bins: int) -> Tensor:
    """Return the quantile of charge, 0 to ``num_bins`` - 1, of each valid sensor among those of its event.

    Args:
        npho: Photons, or any rising function of them, shape (B, N).
        valid: True for sensors with a value, shape (B, N). What stands for others has no meaning.
        num_bins: Number of quantiles; those of an event hold the same number of sensors, or one more.
    """
    rank = _ranks(torch.where(valid, npho, torch.inf))
    return rank * num_bins // valid.sum(dim=1, keepdim=True).clamp_min(1)


def equal_width_bins(npho: Tensor, valid: Tensor, num_bins: int) -> Tensor:
    """Return the bin, of equal width between the faintest and the brightest sensor of the event; else as above."""
    low = torch.where(valid, npho, torch.inf).amin(dim=1, keepdim=True)
    high = torch.where(valid, npho, -torch.inf).amax(dim=1, keepdim=True)
    place = (npho - low) / (high - low).clamp_min(1e-9)
    return (torch.where(valid, place, 0.0) * num_bins).long().clamp(0, num_bins - 1)


def flat_scores(bins: Tensor, valid: Tensor, num_bins: int, generator: torch.Generator) -> Tensor:
    """Return scores by which each bin of an event gives the same number of sensors, as long as it has any.

    Args:
        bins: Bin of each sensor, shape (B, N), int64.
        valid: True for sensors with a value, shape (B, N).
        num_bins: Number of bins.
        generator: Source of randomness, on the device of ``bins``.
    """
    outside = torch.where(valid, bins, num_bins)
    rank = _ranks(outside + _uniform(valid, generator))
    counts = torch.zeros(len(bins), num_bins + 1, dtype=torch.int64, device=bins.device)
    counts.scatter_add_(1, outside, torch.ones_like(outside))
    first = counts.cumsum(dim=1) - counts
    # Which of two bins gives one more is left to chance.
    return rank - first.gather(1, outside) + _uniform(valid, generator)


def block_neighbours(block_size: int) -> Tensor:
    """Return the sensors of the same face whose blocks hold a sensor, itself first, shape (4760, block_size)."""
    itself = np.arange(NUM_SENSORS)[:, None]
    if block_size == 1:
        return torch.tensor(itself)
    return torch.as_tensor(
        np.concatenate([itself, nearest_sensors(nominal_sensors(), block_size - 1, same_face=True)], axis=1)
    )


def block_scores(like: Tensor, neighbours: Tensor, generator: torch.Generator) -> Tensor:
    """Return scores by which blocks of neighbouring sensors are hidden one after another, the last one in part.

    Args:
        like: Gives shape (B, 4760) and device.
        neighbours: What ``block_neighbours`` returned, on the same device.
        generator: Source of randomness.
    """
    centre = _uniform(like, generator)
    scores = centre
    # One place of the block after the other: all at once would need many times the memory.
    for column in neighbours[:, 1:].unbind(dim=1):
        scores = torch.minimum(scores, centre[:, column])
    return scores


def face_codes() -> Tensor:
    """Return the face of each sensor, 0 to 5, shape (4760,)."""
    return torch.tensor(nominal_sensors().face_codes, dtype=torch.int64)


def face_scores(like: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:
    """Return scores by which whole faces are hidden one after another in random order, the last one in part.

    Args:
        like: Gives shape (B, 4760) and device.
        codes: Face of each sensor, shape (4760,), on the same device.
        generator: Source of randomness.
    """
    order = torch.rand(len(like), NUM_FACES, generator=generator, device=like.device).argsort(dim=1)
    return order[:, codes] + _uniform(like, generator)


def draw_patterns(patterns: Tensor, valid: Tensor, generator: torch.Generator) -> Tensor:
    """Hide in each event the sensors of one pattern, as far as they have a value.

    Args:
        patterns: True for the sensors of each pattern, shape (P, N).
        valid: True for sensors with a value, shape (B, N).
        generator: Chooses among the patterns; on the same device.
    """
    choice = torch.randint(len(patterns), (len(valid),), generator=generator, device=valid.device)
    return patterns[choice] & valid


def batch_generator(seed: int, device: torch.device) -> torch.Generator:
    """Return a generator for what is drawn for one batch."""
    return torch.Generator(device).manual_seed(seed)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device)


def _ranks(values: Tensor) -> Tensor:
    """Return the place of each value in its row in rising order, int64."""
    order = values.argsort(dim=1)
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.zeros_like(order).scatter(1, order, places)
