"""Options that change what a resumed run starts from: obeyed once in the life of a run, not at every requeue."""

import logging
from pathlib import Path
from typing import Literal

from lib.cli.schemas import RunConfig
from lib.training.saving.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

ResumeOption = Literal["refresh_lr", "reset_epoch", "new_mlflow_run"]


def is_asked_anew(option: ResumeOption, config: RunConfig, checkpoint: Checkpoint, source: Path) -> bool:
    """Return True if an option is set and has not been obeyed yet.

    A job that is requeued repeats its command. The configuration in a checkpoint of the run's own folder says what was
    asked when that checkpoint was written, so what it asked already has been done.

    Args:
        option: Name of a setting of the checkpoint section.
        config: The configuration now.
        checkpoint: What the run goes on from.
        source: File of the checkpoint.
    """
    if not config.checkpoint.model_dump()[option]:
        return False
    own_folder = config.checkpoint.save_dir / (config.mlflow.run_name or "")
    is_own = config.mlflow.run_name is not None and source.resolve().parent == own_folder.resolve()
    was_asked = bool(checkpoint.config.get("checkpoint", {}).get(option, False))
    if is_own and was_asked:
        logger.info("checkpoint.%s: obeyed earlier in this run, and not again", option)
        return False
    return True
