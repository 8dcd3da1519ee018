"""Draws the hidden sensors of a batch as configured."""

import torch
from torch import Tensor

from lib.data.batch import EventBatch
from lib.data.branches import DEAD
from lib.data.dead_channels import read_dead_channels
from lib.tasks.masking import (
    batch_generator,
    block_neighbours,
    block_scores,
    draw_patterns,
    equal_width_bins,
    face_codes,
    face_scores,
    flat_scores,
    hide_lowest,
    quantile_bins,
    weighted_scores,
)
from lib.tasks.masking_config import MaskingConfig

NPHO_CHANNEL, TIME_CHANNEL = 0, 1


class MaskDrawing:
    """Hides sensors; the same ones whenever the seed of a batch is the same.

    Args:
        config: Which sensors.
        mask_ratio: Share of the valid ones, in validation and where the training has no ratio of its own.
        time_scale: How many times as likely as another a sensor with a time is drawn, of kind random.

    Raises:
        DataError: If a list of dead channels cannot be read.
    """

    def __init__(self, config: MaskingConfig, mask_ratio: float, time_scale: float = 1.0) -> None:
        self._config = config
        self._mask_ratio = mask_ratio
        self._time_scale = time_scale
        self._table = self._read_table()

    @property
    def truth_branches(self) -> list[str]:
        """Branches that are read beside the sensors."""
        return [DEAD] if self._config.kind == "branch" else []

    def draw(self, batch: EventBatch, *, training: bool) -> Tensor:
        """Return True for hidden sensors, shape (B, 4760)."""
        generator = batch_generator(batch.seed, batch.x.device)
        valid = batch.valid[..., NPHO_CHANNEL]
        if self._config.kind == "list":
            return draw_patterns(self._on(batch.x.device), valid, generator)
        if self._config.kind == "branch":
            return draw_patterns(batch.truth[DEAD] > 0, valid, generator)
        scores = self._scores(batch, generator)
        return hide_lowest(scores, valid, self._training_ratio(batch, generator) if training else self._mask_ratio)

    def _training_ratio(self, batch: EventBatch, generator: torch.Generator) -> float | Tensor:
        """Return the mask ratio of the epoch, or those of the events, shape (B, 1)."""
        if self._config.ratio_range is None:
            return self._config.ratio(self._mask_ratio, batch.epoch)
        low, high = self._config.ratio_range
        return low + (high - low) * torch.rand(len(batch.x), 1, generator=generator, device=batch.x.device)

    def _scores(self, batch: EventBatch, generator: torch.Generator) -> Tensor:
        npho, valid = batch.x[..., NPHO_CHANNEL], batch.valid[..., NPHO_CHANNEL]
        match self._config.kind:
            case "npho_flat":
                num_bins = self._config.num_npho_bins
                find_bins = quantile_bins if self._config.npho_bins == "quantiles" else equal_width_bins
                return flat_scores(find_bins(npho, valid, num_bins), valid, num_bins, generator)
            case "block":
                return block_scores(npho, self._on(npho.device), generator)
            case "face":
                return face_scores(npho, self._on(npho.device), generator)
        weight = torch.where(batch.valid[..., TIME_CHANNEL], self._time_scale, 1.0)
        return weighted_scores(weight, generator)

    def _read_table(self) -> Tensor:
        """Return what the kind looks up: patterns (P, 4760), members of blocks (4760, size) or faces (4760,)."""
        match self._config.kind:
            case "list":
                return torch.stack([read_dead_channels(path) for path in self._config.list_files])
            case "block":
                return block_neighbours(self._config.block_size)
            case "face":
                return face_codes()
        return torch.zeros(0)

    def _on(self, device: torch.device) -> Tensor:
        """Return the table on a device, to which it moves once."""
        self._table = self._table.to(device)
        return self._table
