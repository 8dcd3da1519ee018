"""Means over an epoch that are exact, without a wait for the device at each batch."""

import torch
from torch import Tensor


class MeanMeters:
    """Sums and counts by metric name, kept on the device."""

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}

    def add(self, sums: dict[str, tuple[Tensor, Tensor]], included: Tensor | None = None) -> None:
        """Add the sums of one batch.

        Args:
            sums: Sum and count of each metric, scalars.
            included: 1 to count this batch, 0 to leave it out even where its sums are not finite.
        """
        for name, (total, count) in sums.items():
            pair = torch.stack([total.detach().double(), count.detach().double()])
            if included is not None:
                pair = torch.where(included > 0, pair, torch.zeros_like(pair))
            self._totals[name] = self._totals[name] + pair if name in self._totals else pair

    def means(self) -> dict[str, float]:
        """Return sum / count of each metric; a metric without counts is left out. Waits for the device once."""
        if not self._totals:
            return {}
        pairs = torch.stack(list(self._totals.values())).cpu().tolist()
        return {name: total / count for name, (total, count) in zip(self._totals, pairs, strict=True) if count}

    def state_dict(self) -> dict[str, Tensor]:
        """Return sum and count of each metric, shape (2,) each."""
        return dict(self._totals)

    def load_state_dict(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Go on from what ``state_dict`` returned."""
        self._totals = {name: pair.to(device) for name, pair in state.items()}
