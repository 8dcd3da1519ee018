"""Settings of the guard: which steps are clipped, which are skipped, and when a training goes back."""

from pydantic import Field, model_validator

from lib.config import Section


class RollbackConfig(Section):
    """When a training goes back to an older state because it has left its course, and what it does then.

    Weights, averages, moments and the guard's statistics go back; the position does not: what was trained on since is
    left behind, and the next batches are passed over.
    """

    enabled: bool = True
    """Whether to go back at all; needs guard.enabled."""
    skip_rows: int = Field(3, ge=1)
    """So many separate rows of skipped steps within skip_steps send the training back; so does one row of
    guard.max_skips_in_row."""
    skip_steps: int = Field(20, ge=1)
    """Steps within which the rows are counted."""
    loss_factor: float = Field(2.0, gt=1)
    """The averaged training loss is too high above its median by this factor."""
    loss_decay: float = Field(0.98, ge=0, lt=1)
    """Decay per step of the averaged training loss."""
    loss_window: int = Field(200, ge=2, le=10_000)
    """Steps whose averaged losses make the median; nothing is judged before there are so many."""
    loss_steps: int = Field(50, ge=1)
    """Steps in a row with too high an averaged loss that send the training back."""
    validation_factor: float = Field(5.0, gt=1)
    """A validation loss above the best by this factor sends the training back."""
    min_age: int = Field(100, ge=1)
    """Steps by which a state must be older than the present to be gone back to."""
    keep_every: int = Field(500, ge=1)
    """Steps between states that are kept to go back to; each takes three to four times the memory of the weights, in
    the host and in checkpoint_last.pth."""
    pass_over: int = Field(200, ge=0)
    """Batches that are passed over after going back, up to the end of the epoch."""
    lr_factor: float = Field(0.5, gt=0, le=1)
    """Factor on the learning rate after going back."""
    lr_steps: int = Field(200, ge=0)
    """Steps for which that factor holds."""
    max_rollbacks: int = Field(3, ge=1)
    """Times that a training may go back without a new best validation loss in between; once more ends the run with
    exit code 4."""


class AdaGCConfig(Section):
    """Clipping of each tensor's gradient by what is usual for that tensor (AdaGC, arXiv:2502.11034)."""

    enabled: bool = False
    """Clip each tensor by itself, before the guard's limit and grad_clip; of use where few tensors spike, as in an
    MAE."""
    warmup_steps: int = Field(100, ge=1)
    """Applied steps in which all tensors are clipped alike and the smallest norm of each is noted."""
    absolute: float = Field(1.0, gt=0)
    """Ceiling of the common norm in these steps."""
    relative: float = Field(1.05, ge=1)
    """Ceiling of a tensor's norm afterwards, in units of its average."""
    decay: float = Field(0.98, ge=0, lt=1)
    """Decay per step of the averages."""


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
    max_spread: float = Field(0.5, gt=0)
    """Largest standard deviation of the logarithm that is believed; where norms vary more than that, as with small
    batches, a step 55 times above the median is skipped still."""
    level_shift_steps: int = Field(16, ge=2)
    """So many skips in a row with like norms are a new level, and it is accepted."""
    level_shift_factor: float = Field(2.0, gt=1)
    """Largest ratio among norms that are alike."""
    max_skips_in_row: int = Field(20, ge=1)
    """Skipped steps in a row that end the run with exit code 3, if there is no older state to go back to."""
    max_skipped_share: float = Field(0.01, gt=0, le=1)
    """Share of an epoch's steps whose skipping ends the run with exit code 3, once max_skips_in_row are exceeded."""
    adagc: AdaGCConfig = AdaGCConfig()
    """Clipping tensor by tensor."""
    rollback: RollbackConfig = RollbackConfig()
    """Going back to an older state."""

    @model_validator(mode="after")
    def _fits(self) -> "GuardConfig":
        if self.active_after > self.window:
            raise ValueError(f"active_after must not exceed window ({self.window})")
        if self.min_spread > self.max_spread:
            raise ValueError(f"min_spread must not exceed max_spread ({self.max_spread})")
        if self.clip_sigma > self.skip_sigma:
            raise ValueError(f"clip_sigma must not exceed skip_sigma ({self.skip_sigma})")
        if self.level_shift_steps > min(self.max_skips_in_row, self.window):
            raise ValueError("level_shift_steps must not exceed max_skips_in_row and window")
        return self
