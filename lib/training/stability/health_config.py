"""Settings of the look at what a training learns."""

from pydantic import Field

from lib.config import Section


class HealthConfig(Section):
    """What is looked at after each validation, and when it is worth a warning."""

    enabled: bool = True
    """Whether to look at all."""
    events: int = Field(2048, ge=8)
    """Validation events that are looked at, the first ones."""
    after_epochs: int = Field(2, ge=1)
    """Epochs before which nothing is warned of."""
    min_effective_rank: float = Field(2.0, ge=1)
    """Warn if the embedding varies along fewer directions."""
    max_dead_units: float = Field(0.5, gt=0, le=1)
    """Warn if a larger share of the embedding's units is the same for all events."""
    max_loss_over_constant: float = Field(1.0, gt=0)
    """Warn if the error of any target is larger than so many times that of a constant prediction."""
    stop: bool = False
    """End the run with exit code 5 instead of only warning."""
