"""From what a training starts: fresh weights, a pretrained encoder, or where an earlier run stopped."""

import logging
import time
from pathlib import Path

from torch import nn

from lib.cli.resume_options import is_asked_anew
from lib.cli.schemas import RegressorConfig, RunConfig
from lib.config.flat import differences, flatten
from lib.data.normalization import Normalization
from lib.errors import CheckpointError, ConfigError
from lib.tasks.targets import enabled_targets
from lib.training.optimizer import load_optimizer_state
from lib.training.position import Progress
from lib.training.protocol import B
from lib.training.records.recorder import ModelIdentity
from lib.training.saving.checkpoint import LAST_NAME, Checkpoint, initialize_from, load_weights
from lib.training.saving.checkpoint_writer import newest_sound
from lib.training.trainer import Trainer

logger = logging.getLogger(__name__)

ENCODER_PREFIX = "encoder."
HEADS_PREFIX = "heads."
AUTO = "auto"
# These leave the batches of an epoch as they are; with another value of any other data setting, and of those below,
# what is left of an epoch is not what the checkpoint left.
ORDER_KEEPING_DATA = frozenset(
    f"data.{name}"
    for name in (
        "val_path",
        "num_workers",
        "num_threads",
        "prefetch_factor",
        "prefetch_chunks",
        "worker_timeout",
        "compiled",
        "cache",
        "cache_dir",
        "log_invalid_npho",
        "on_bad",
        "quarantine_report",
        "max_bad_share",
    )
)
ORDER_CHANGING_TRAINING = frozenset({"training.seed", "training.grad_accum_steps"})


def choose_run_name(config: RunConfig) -> str:
    """Return the name of the run, which is that of its folder.

    Without ``mlflow.run_name`` a run that goes on from a checkpoint keeps the name of the folder that holds it, and a
    new one is called after its kind, date and time.

    Raises:
        ConfigError: If ``auto`` is to find a run that has no name.
    """
    if config.mlflow.run_name is not None:
        return config.mlflow.run_name
    wanted = config.checkpoint.resume_from
    if wanted == AUTO:
        raise ConfigError(
            "checkpoint.resume_from: auto looks for the run called mlflow.run_name, which is not set. Without it every "
            "start would be a new run; set mlflow.run_name, or give the path of a checkpoint."
        )
    own = Path(wanted).resolve().parent if wanted else None
    if own is not None and own.is_dir() and own == (config.checkpoint.save_dir / own.name).resolve():
        logger.info("the run goes on in its own folder, %s", own)
        return own.name
    return time.strftime(f"{config.kind}_%Y%m%d_%H%M%S")


def find_resumed(config: RunConfig, run_name: str) -> Path | None:
    """Return the checkpoint that the run goes on from, or None for a new run.

    Raises:
        CheckpointError: If ``auto`` finds checkpoints of the run, but none is undamaged.
    """
    wanted = config.checkpoint.resume_from
    if wanted is None:
        return None
    if wanted != AUTO:
        return Path(wanted)
    folder = config.checkpoint.save_dir / run_name
    path = newest_sound(folder)
    if path is None:
        logger.info("resume_from auto: %s does not exist, so the run starts anew", folder / LAST_NAME)
    return path


def require_same_normalization(checkpoint: Checkpoint, normalization: Normalization, source: str) -> None:
    """Refuse weights that were trained on differently normalized inputs.

    Raises:
        CheckpointError: Showing both values of each setting that differs.
    """
    theirs = Normalization.from_dict(checkpoint.about["normalization"])
    difference = normalization.difference(theirs)
    if difference:
        raise CheckpointError(
            f"{source}: was trained with another normalization (configuration against checkpoint): {difference}. "
            "Weights mean nothing on other inputs; make the normalization section match."
        )


def initialize(model: nn.Module, config: RunConfig, normalization: Normalization) -> None:
    """Take over the encoder, and whatever else fits, of ``checkpoint.init_from``.

    A head that learnt the same quantity in another form, such as the logarithm of the energy, does not fit.

    Raises:
        CheckpointError: If the checkpoint has another encoder or another normalization.
    """
    source = config.checkpoint.init_from
    if source is None:
        return
    checkpoint = Checkpoint.load(source)
    require_same_normalization(checkpoint, normalization, str(source))
    strangers = tuple(f"{HEADS_PREFIX}{name}." for name in _redefined_targets(config, checkpoint))
    weights = checkpoint.inference_weights
    fitting = {name: weight for name, weight in weights.items() if not name.startswith(strangers)}
    initialize_from(model, fitting, source, part=ENCODER_PREFIX)


def _redefined_targets(config: RunConfig, checkpoint: Checkpoint) -> list[str]:
    """Return the targets that both have and that the checkpoint defines otherwise, and tell of them."""
    theirs = checkpoint.about.get("targets", {})
    redefined = []
    for target in enabled_targets(config.tasks) if isinstance(config, RegressorConfig) else []:
        mine, other = target.as_dict(), theirs.get(target.name)
        if other is None or other == mine:
            continue
        names = [name for name in mine if other.get(name) != mine[name]]
        shown = "; ".join(f"{name}: {mine[name]!r} against {other.get(name)!r}" for name in names)
        logger.warning(
            "the head of %s starts anew: it is defined otherwise (configuration against checkpoint): %s",
            target.name,
            shown,
        )
        redefined.append(target.name)
    return redefined


def load_resumed(
    model: nn.Module, checkpoint: Checkpoint, kind: str, normalization: Normalization, source: Path
) -> None:
    """Put the trained weights of a checkpoint into the model that goes on with them.

    Raises:
        CheckpointError: If the checkpoint is of another kind, architecture or normalization.
    """
    if checkpoint.kind != kind:
        raise CheckpointError(
            f"{source}: holds a {checkpoint.kind}, this configuration trains a {kind}. "
            "To start from its encoder, use --init_from."
        )
    require_same_normalization(checkpoint, normalization, str(source))
    load_weights(model, checkpoint.model, source)


def resume(
    trainer: Trainer[B],
    checkpoint: Checkpoint,
    source: Path,
    config: RunConfig,
    *,
    identity: ModelIdentity,
    normalization: Normalization,
) -> None:
    """Put a trainer where an earlier run stopped.

    Raises:
        CheckpointError: Like ``load_resumed``, or if other parameters are trainable now.
    """
    # Before anything is refused: what differs here is often why.
    for difference in differences(checkpoint.config, identity.config):
        logger.info("configuration changed since the checkpoint: %s", difference)
    load_resumed(trainer.model, checkpoint, identity.kind, normalization, source)
    try:
        load_optimizer_state(trainer.optimizer, checkpoint.optimizer)
        if trainer.average is not None:
            trainer.average.load_state_dict(checkpoint.average or checkpoint.model)
    except (ValueError, KeyError) as error:
        raise CheckpointError(
            f"{source}: its optimizer does not fit the trainable parameters ({error}). "
            "Make model.freeze_encoder and the use of training.layer_decay match the checkpoint's, or start from its "
            "weights by --init_from."
        ) from error
    trainer.load_guard(checkpoint.guard)
    _resume_position(trainer, checkpoint, source, config, keeps_order=_keeps_order(checkpoint, identity))


def _keeps_order(checkpoint: Checkpoint, identity: ModelIdentity) -> bool:
    before, now = flatten(checkpoint.config), flatten(identity.config)
    changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    changed_data = {name for name in changed if name.startswith("data.")}
    return not (changed_data - ORDER_KEEPING_DATA or changed & ORDER_CHANGING_TRAINING)


def _resume_position(
    trainer: Trainer[B], checkpoint: Checkpoint, source: Path, config: RunConfig, *, keeps_order: bool
) -> None:
    progress = Progress(
        checkpoint.epochs_done,
        checkpoint.steps_done,
        checkpoint.schedule_start,
        checkpoint.best,
        checkpoint.batches_done,
    )
    if is_asked_anew("reset_epoch", config, checkpoint, source):
        progress = Progress(best=checkpoint.best)
        trainer.forget_kept_states()
        trainer.restart_schedule()
    elif is_asked_anew("refresh_lr", config, checkpoint, source):
        progress.schedule_start = progress.steps_done
        trainer.restart_schedule()
    if progress.batches_done and not keeps_order:
        logger.warning("the order of events was changed, so the epoch that was under way begins anew")
        progress.batches_done = 0
    if progress.batches_done:
        trainer.load_epoch_sums(checkpoint.epoch_sums)
    trainer.progress = progress
    logger.info("resumed from %s after epoch %d, batch %d", source, progress.epochs_done, progress.batches_done)
