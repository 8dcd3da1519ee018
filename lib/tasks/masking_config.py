"""Settings of how sensors are hidden."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from lib.config import Section

MaskKind = Literal["random", "npho_flat", "block", "face", "list", "branch"]


class MaskingConfig(Section):
    """Which sensors are hidden; how many, model.mask_ratio says."""

    kind: MaskKind = "random"
    """random: all valid sensors alike. npho_flat: the same number from each bin of charge of the event. block: sensors
    and their neighbours on the face. face: whole faces in random order, the last one in part. list: the dead channels
    of list_files, whatever model.mask_ratio says. branch: the channels that the branch dead names for an event drawn
    from the same batch, so of another run where runs are mixed, whatever model.mask_ratio says."""
    npho_bins: Literal["quantiles", "equal_width"] = "quantiles"
    """Bins of npho_flat: the same number of sensors in each, or the same width in normalized npho, so that the few
    bright sensors are hidden as often as the many faint ones."""
    num_npho_bins: int = Field(20, ge=2, le=1000)
    """Number of bins of npho_flat."""
    block_size: int = Field(9, ge=1, le=64)
    """Sensors of a block of kind block; 9 are 3 x 3 on a rectangular face."""
    list_files: tuple[Path, ...] = ()
    """Text files with sensor ids for kind list, one for each run; each event draws one of them."""
    start_ratio: float | None = Field(None, gt=0, lt=1)
    """Mask ratio of the first epoch, from which it goes evenly to model.mask_ratio; null for no such course.
    Validation always hides model.mask_ratio."""
    ramp_epochs: int = Field(10, ge=1)
    """Epochs after which model.mask_ratio is reached, where start_ratio is set."""
    ratio_range: tuple[float, float] | None = None
    """Smallest and largest mask ratio, between which that of each event of the training is drawn evenly; null for the
    same in all events. A model that always saw one share hidden is biased where another is. Validation always hides
    model.mask_ratio."""

    @model_validator(mode="after")
    def _fits(self) -> "MaskingConfig":
        if self.kind == "list" and not self.list_files:
            raise ValueError("kind list needs list_files, text files with sensor ids")
        for name, kind in _BELONGS_TO.items():
            if name in self.model_fields_set and self.kind != kind and getattr(self, name) != _default(name):
                raise ValueError(f"{name} is not used by kind {self.kind}; remove it, or choose kind {kind}")
        chosen = [name for name in ("start_ratio", "ratio_range") if getattr(self, name) is not None]
        if chosen and self.kind in {"list", "branch"}:
            raise ValueError(f"{chosen[0]} is not used by kind {self.kind}, whose patterns say how many are hidden")
        if len(chosen) == 2:
            raise ValueError("start_ratio and ratio_range exclude each other; remove one")
        if self.ratio_range is not None and not 0 < self.ratio_range[0] < self.ratio_range[1] < 1:
            raise ValueError(f"ratio_range must rise from above 0 to below 1, got {list(self.ratio_range)}")
        return self

    def ratio(self, final: float, epoch: int) -> float:
        """Return the mask ratio of a training epoch, counted from 0, of which ``final`` is reached in the end."""
        if self.start_ratio is None or epoch >= self.ramp_epochs:
            return final
        return self.start_ratio + (final - self.start_ratio) * epoch / self.ramp_epochs


_BELONGS_TO = {"npho_bins": "npho_flat", "num_npho_bins": "npho_flat", "block_size": "block", "list_files": "list"}


def _default(name: str) -> object:
    return MaskingConfig.model_fields[name].default
