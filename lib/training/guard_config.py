"""Settings of the guard: which steps are clipped, which are skipped, and when a training goes back."""

from pydantic import Field, model_validator

from lib.config import Section


class GuardConfig(Section):
    """Which steps are clipped or skipped because their gradient is far above those before it.

    Distances are counted in robust standard deviations of the logarithm of the gradient norm, over a window of
    accepted steps. Steps that are not finite are always skipped.
    """

    enabled: bool = True
    """False keeps only grad_clip and the skipping of steps that are not finite."""
    window: int = Field(128, ge=8, le=4096)
    """Accepted steps that a step is compared with."""
    active_after: int = Field(64, ge=4)
    """Accepted steps before anything is clipped or skipped."""
    clip_sigma: float = Field(3.0, gt=0)
    """Distance above the median beyond which a gradient is scaled down to this distance."""
    skip_sigma: float = Field(8.0, gt=0)
    """Distance above the median beyond which a step is skipped."""
    skip_factor: float = Field(3.0, ge=1)
    """A skipped step's norm also exceeds the median norm by this factor."""
    min_spread: float = Field(0.05, gt=0)
    """Smallest standard deviation of the logarithm that is believed."""
    level_shift_steps: int = Field(16, ge=2)
    """So many skips in a row with like norms are a new level, and it is accepted."""
    level_shift_factor: float = Field(2.0, gt=1)
    """Largest ratio among norms that are alike."""
    max_skips_in_row: int = Field(20, ge=1)
    """Skipped steps in a row that end the run with exit code 3."""
    max_skipped_share: float = Field(0.01, gt=0, le=1)
    """Share of an epoch's steps whose skipping ends the run with exit code 3, once max_skips_in_row are exceeded."""

    @model_validator(mode="after")
    def _fits(self) -> "GuardConfig":
        if self.active_after > self.window:
            raise ValueError(f"active_after must not exceed window ({self.window})")
        if self.clip_sigma > self.skip_sigma:
            raise ValueError(f"clip_sigma must not exceed skip_sigma ({self.skip_sigma})")
        if self.level_shift_steps > min(self.max_skips_in_row, self.window):
            raise ValueError("level_shift_steps must not exceed max_skips_in_row and window")
        return self
