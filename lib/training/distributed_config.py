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

    @field_validator("strategy")
    @classmethod
    def _can_be_done(cls, strategy: str) -> str:
        if strategy == "fsdp2":
            raise ValueError(
                "fsdp2 is not supported: the models of this suite fit on one GPU many times over. Use ddp; where "
                "memory is short, training.activation_checkpointing or training.micro_batch helps"
            )
        return strategy
