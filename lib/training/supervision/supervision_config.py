"""Settings of what watches over a run from beside it."""

from pydantic import Field, model_validator

from lib.config import Section


class WatchdogConfig(Section):
    """Noticing that a training no longer goes on."""

    enabled: bool = True
    """False leaves a hang unnoticed."""
    seconds: float = Field(120.0, gt=0)
    """Seconds without a step, or a batch of the validation, after which the stacks of all threads are written down."""
    patience: float = Field(10.0, ge=1)
    """How many times longer the beginning of a phase may take: reading the first events, compiling, figures."""
    exit_seconds: float | None = Field(None, gt=0)
    """Seconds without a step after which the process ends with code 75, to be started again; null waits for ever."""

    @model_validator(mode="after")
    def _fits(self) -> "WatchdogConfig":
        if self.exit_seconds is not None and self.exit_seconds < self.seconds:
            raise ValueError(f"exit_seconds must not be below seconds ({self.seconds:g})")
        return self


class MemoryConfig(Section):
    """Noticing that the host runs out of memory, before the system ends the process without a word."""

    warn_share: float = Field(0.85, gt=0, le=1)
    """Used share of the machine's memory, or of what the job may use of it, that is worth a warning, once less than
    16 GB are left. Figures and predictions of the best epoch are left out then."""
    stop_share: float = Field(0.95, gt=0, le=1)
    """Used share at which the training saves itself and ends with code 75, once less than 4 GB are left; 1 never."""

    @model_validator(mode="after")
    def _fits(self) -> "MemoryConfig":
        if self.warn_share > self.stop_share:
            raise ValueError(f"warn_share must not exceed stop_share ({self.stop_share:g})")
        return self
