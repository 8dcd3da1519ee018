"""What a configuration leaves open, settled for the machine that the run is on."""

import logging
from dataclasses import dataclass

from lib.cli.schemas import TrainingConfiguration
from lib.training.machine.automatic import choose_compile_mode, choose_num_workers
from lib.training.platform import recognize_platform

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """A configuration without open choices.

    Attributes:
        config: The configuration.
        tags: What was chosen and why, for the run's entry in MLflow.
    """

    config: TrainingConfiguration
    tags: dict[str, str]


def settle(config: TrainingConfiguration, device: str) -> Settled:
    """Choose what the configuration leaves to the machine, and log each choice with its reason.

    Args:
        config: As the user wrote it.
        device: cuda or cpu.
    """
    machine = recognize_platform()
    logger.info("platform: %s", machine.describe())
    choice = choose_compile_mode(config.training, machine, device)
    logger.info("training.compile: %s, because: %s", choice.mode, choice.reason)
    workers = config.data.num_workers
    if workers == "auto":
        workers = choose_num_workers(machine)
    updates = {
        "training": config.training.model_copy(update={"compile": choice.mode}),
        "data": config.data.model_copy(update={"num_workers": workers}),
    }
    tags = {"platform": machine.describe(), "platform.compile": f"{choice.mode}: {choice.reason}"}
    return Settled(config.model_copy(update=updates), tags)
