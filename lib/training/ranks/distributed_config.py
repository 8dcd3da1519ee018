"""Settings of trainings that run as several processes."""

from typing import Literal

from pydantic import Field, field_validator

from lib.config import Section


class DistributedConfig(Section):
    """How the processes that torchrun started train together; without effect on a single one."""

    strategy: Literal["ddp", "fsdp2"] = "ddp"
    """ddp: every process holds the whole model and gradients are summed. fsdp2 is refused: weights are not sharded."""
    timeout_seconds: float = Field(120.0, gt=0)
    """Seconds without a step after which a process that waits for another one writes its stacks and ends with code
    75; the beginning of a phase may take training.watchdog.patience times longer."""

    lost_seconds: float = Field(15.0, ge=1)
    """Seconds without a sign of life of another process after which all write their stacks and end with code 75. A
    thread gives these signs, so only a process that was stopped, or whose host is gone, gives none."""
    check_steps: int = Field(100, ge=0)
    """Steps between two comparisons of the processes: parameters, losses and random numbers must be the same, or the
    training ends with code 6; a process that takes 1.3 times as long as the median is told in the log. 0 for none."""

    @field_validator("strategy")
    @classmethod
    def _can_be_done(cls, strategy: str) -> str:
        if strategy == "fsdp2":
            raise ValueError(
                "fsdp2 is not supported: the models of this suite fit on one GPU many times over. Use ddp; where "
                "memory is short, training.activation_checkpointing or training.micro_batch helps"
            )
        return strategy
