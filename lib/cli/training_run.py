"""A training from its configuration to its artifacts."""

import logging
import os
import sys
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lib.cli.artifacts import write_artifacts, write_run_page
from lib.cli.assembly import Assembly, assemble
from lib.cli.data_record import DataRecord
from lib.cli.entry import EXIT_DISAGREEMENT, EXIT_DONE, EXIT_REQUEUE, EXIT_ROLLBACK_CAP, EXIT_SKIP_CAP, EXIT_UNHEALTHY
from lib.cli.resume_options import is_asked_anew
from lib.cli.schemas import TrainingConfiguration
from lib.cli.settling import Settled, settle
from lib.cli.start_point import choose_run_name, find_resumed, initialize, resume
from lib.config.flat import config_hash, flatten
from lib.data.batch import EventBatch
from lib.data.data_fingerprint import data_fingerprint
from lib.data.normalization import Normalization
from lib.data.stream import EventStream, open_stream
from lib.errors import ConfigError
from lib.training.machine.device import choose_device
from lib.training.machine.memory import MemoryShortageError
from lib.training.random_state import seed_initialization
from lib.training.ranks.distributed import rank, world_size
from lib.training.ranks.process_group import alike, copy_from_first_rank, from_first_rank, wait_for_all
from lib.training.ranks.rank_check import DisagreementError, RankCheck
from lib.training.ranks.rank_watch import watched_ranks
from lib.training.records.follower import FollowerRecorder
from lib.training.records.provenance import CPU, code_revision, environment, user_name
from lib.training.records.recorder import ModelIdentity, RunRecorder, claim_folder
from lib.training.records.run_identity import IDENTITY_NAME, RunIdentity, load_identity
from lib.training.records.system_metrics import SystemMeter
from lib.training.saving.checkpoint import Checkpoint
from lib.training.stability.health import LearningHealth, UnhealthyError
from lib.training.stability.rollback import RollbackCapError
from lib.training.stability.skip_ledger import SkipCapError
from lib.training.stability.skip_report import Identity
from lib.training.supervision.memory_guard import MemoryGuard
from lib.training.supervision.run_watch import RunWatch
from lib.training.supervision.signals import StopRequest, start_shielded_server
from lib.training.supervision.supervision_config import WatchdogConfig
from lib.training.supervision.watchdog import Watchdog
from lib.training.trainer import InterruptedEpochError, Trainer

logger = logging.getLogger(__name__)

# Why a training ends before its time, and what its command says then.
STOPPING_CODES: dict[type[Exception], int] = {
    SkipCapError: EXIT_SKIP_CAP,
    RollbackCapError: EXIT_ROLLBACK_CAP,
    UnhealthyError: EXIT_UNHEALTHY,
    DisagreementError: EXIT_DISAGREEMENT,
}


def run_training(config: TrainingConfiguration) -> int:
    """Train, validate and record as configured.

    Args:
        config: The checked configuration.

    Returns:
        Exit code of the command.

    Raises:
        UserError: If files, checkpoints or settings cannot serve; nothing has been trained then.
    """
    with ExitStack() as block:
        ready = _begin(config, block)
        if ready is None:
            return EXIT_REQUEUE
        code = _train_and_close(ready)
        # While somebody looks: the first rank may be writing figures for long.
        wait_for_all()
        return code


def _begin(config: TrainingConfiguration, block: ExitStack) -> "_ReadyRun | None":
    """Return the run ready to train, or None after a signal; the other ranks are watched until the block is left."""
    starting = StopRequest()
    try:
        # Reading files and trying the compiler take minutes on some machines, and there is nothing to save yet.
        with starting.listening():
            starting.interrupt_at_once()
            run_name, source = from_first_rank(lambda: _name_and_source(config))
            folder = config.checkpoint.save_dir / run_name
            block.enter_context(watched_ranks(config.distributed.lost_seconds, folder, exit_code=EXIT_REQUEUE))
            ready = alike(lambda: _prepare(config, run_name, source))
            copy_from_first_rank(ready.parts.model)
    except KeyboardInterrupt:
        logger.warning("stopped on request before the training began; start it again with the same command")
        if world_size() > 1:
            # The others may be waiting for something else than the end.
            sys.exit(EXIT_REQUEUE)
        return None
    return ready


@dataclass(frozen=True)
class _BuiltRun:
    """What of a run has been built while its folder is not yet taken."""

    settled: Settled
    trainer: Trainer[EventBatch]
    parts: Assembly
    data: DataRecord


@dataclass(frozen=True)
class _ReadyRun:
    """Everything of a run that is about to begin; its folder is taken."""

    config: TrainingConfiguration
    trainer: Trainer[EventBatch]
    parts: Assembly
    recorder: RunRecorder | FollowerRecorder
    data: DataRecord

    @classmethod
    def of(cls, built: _BuiltRun, recorder: RunRecorder | FollowerRecorder) -> "_ReadyRun":
        """Return what was built, with what writes its results."""
        return cls(built.settled.config, built.trainer, built.parts, recorder, built.data)


def _name_and_source(config: TrainingConfiguration) -> tuple[str, Path | None]:
    run_name = choose_run_name(config)
    return run_name, find_resumed(config, run_name)


def _prepare(config: TrainingConfiguration, run_name: str, source: Path | None) -> _ReadyRun:
    """Build the run and put it where an earlier one stopped, if it is to go on from one.

    Raises:
        UserError: If files, checkpoints or settings cannot serve.
    """
    _require_shares(config)
    normalization = Normalization.from_config(config.normalization)
    resumed = Checkpoint.load(source) if source else None
    built = _build(config, run_name, normalization, resumed)
    identity = _identity(config, normalization, built.parts)
    if resumed is not None and source is not None:
        resume(built.trainer, resumed, source, config, identity=identity, normalization=normalization)
    folder = config.checkpoint.save_dir / run_name
    if rank() > 0:
        return _ReadyRun.of(built, FollowerRecorder(folder))
    claim_folder(config.checkpoint, run_name, source)
    run_key = _run_key(config, resumed, source, folder)
    if built.parts.stream is not None:
        built.parts.stream.begin(folder, lambda: built.trainer.progress.epochs_done)
    settings, tags = flatten(identity.config), _tags(identity, config) | built.settled.tags
    recorder = RunRecorder(
        folder,
        identity,
        RunIdentity(config.mlflow.experiment, run_name, run_key, settings, tags),
        config=config.checkpoint,
        metrics=resumed.metrics if resumed else None,
    )
    return _ReadyRun.of(built, recorder)


def _build(
    config: TrainingConfiguration, run_name: str, normalization: Normalization, resumed: Checkpoint | None
) -> _BuiltRun:
    """Build a fresh model on its device, and its trainer over both splits."""
    seed_initialization(config.training.seed)
    parts = assemble(config, normalization)
    if resumed is None:
        initialize(parts.model, config, normalization)
    device = choose_device(_cpu_threads(config, resumed))
    parts.model.to(device)
    settled = settle(config, device.type)
    train, validation = (_stream(settled.config, normalization, parts, split) for split in ("train", "validation"))
    trainer = Trainer[EventBatch](
        parts.model,
        parts.task,
        train=train,
        validation=validation,
        config=settled.config.training,
        observers=parts.observers,
        identify=_event_numbers,
        begin_epoch=parts.begin_epoch,
    )
    data = DataRecord({"train": train, "val": validation}, config.checkpoint.save_dir / run_name)
    return _BuiltRun(settled, trainer, parts, data)


def _cpu_threads(config: TrainingConfiguration, resumed: Checkpoint | None) -> int | None:
    """Return the threads that are asked for, or else those that a resumed run had on a CPU; None for neither."""
    if config.training.cpu_threads is not None or resumed is None:
        return config.training.cpu_threads
    before = resumed.about.get("environment", {})
    # Checkpoints of older versions do not tell.
    return int(before["threads"]) if before.get("device") == CPU and "threads" in before else None


def _require_shares(config: TrainingConfiguration) -> None:
    if config.data.batch_size < world_size():
        raise ConfigError(
            f"data.batch_size: {config.data.batch_size} events cannot be shared by {world_size()} processes. Raise it "
            "to one event per process at least, or start fewer."
        )


def _watchdog_config(config: TrainingConfiguration) -> WatchdogConfig:
    """Return the settings of the watchdog; among several ranks it ends one that waits in vain for another."""
    own, limit = config.training.watchdog, config.distributed.timeout_seconds
    if world_size() == 1:
        return own
    last = min(own.exit_seconds or limit, limit)
    return own.model_copy(update={"enabled": True, "seconds": min(own.seconds, last), "exit_seconds": last})


def _run_key(config: TrainingConfiguration, resumed: Checkpoint | None, source: Path | None, folder: Path) -> str:
    """Return what tells the run from others: the key of the run that goes on, or a new one."""
    if resumed is not None and source is not None:
        is_new = is_asked_anew("new_mlflow_run", config, resumed, source)
        return uuid.uuid4().hex if is_new else resumed.run_key
    if config.checkpoint.resume_from is None or config.checkpoint.new_mlflow_run:
        return uuid.uuid4().hex
    # A run that was killed before its first checkpoint is in MLflow already.
    return load_identity(folder)[0].key if (folder / IDENTITY_NAME).exists() else uuid.uuid4().hex


def _train_and_close(run: _ReadyRun) -> int:
    """Run the epochs and end the run in MLflow whatever happens."""
    config, trainer, recorder = run.config, run.trainer, run.recorder
    status = "FAILED"
    stop = StopRequest()
    memory = MemoryGuard(config.training.memory, stop.request)
    watchdog = Watchdog(recorder.folder, _watchdog_config(config), exit_code=EXIT_REQUEUE, chores=[memory.look])
    check = RankCheck(config.distributed.check_steps)
    watch = RunWatch(trainer, recorder, stop, watchdog, check=check)
    try:
        with stop.listening(), watchdog.watching():
            _train(config, trainer, recorder, run.data, watch=watch, health=run.parts.health)
            stop.interrupt_at_once()
            watch.begins("artifacts")
            if isinstance(recorder, RunRecorder):
                _write_results(config, trainer, recorder, memory)
        status = "FINISHED"
    except tuple(STOPPING_CODES) as error:
        logger.error("stopped: %s", error)
        if isinstance(recorder, RunRecorder):
            write_run_page(recorder, status)
        return STOPPING_CODES[type(error)]
    except (InterruptedEpochError, KeyboardInterrupt):
        status = "KILLED"
        logger.warning("stopped on request; go on with the same command and --resume_from auto")
        return EXIT_REQUEUE
    finally:
        if run.parts.stream is not None:
            run.parts.stream.abandon()
        recorder.close(status)
    logger.info("finished; everything about the run is in %s", recorder.folder)
    return EXIT_DONE


def _write_results(
    config: TrainingConfiguration, trainer: Trainer[EventBatch], recorder: RunRecorder, memory: MemoryGuard
) -> None:
    if memory.is_tight:
        logger.warning("memory is short, so figures, predictions and exports of the best epoch are left out")
        return
    write_artifacts(config, trainer, recorder, recorder.folder.name)
    write_run_page(recorder, "FINISHED")


def _train(
    config: TrainingConfiguration,
    trainer: Trainer[EventBatch],
    recorder: RunRecorder | FollowerRecorder,
    data: DataRecord,
    *,
    watch: RunWatch[EventBatch],
    health: LearningHealth[EventBatch] | None,
) -> None:
    """Run the epochs that are left and record each.

    Raises:
        SkipCapError: If too many steps had to be skipped.
        RollbackCapError: If the training left its course too often.
        UnhealthyError: If nothing is learnt and the run is to end then; the epoch is recorded.
        InterruptedEpochError: After a signal, when everything is saved.
        MemoryShortageError: If a step does not fit into memory, when everything before it is saved.
    """
    if config.data.worker_processes:
        start_shielded_server([EventStream.__module__])
    machine = SystemMeter()
    while trainer.progress.epochs_done < config.training.epochs:
        try:
            metrics = trainer.run_epoch(watch)
        except (InterruptedEpochError, MemoryShortageError):
            recorder.save_last(trainer)
            if rank() == 0:
                data.write_ledger()
            raise
        watch.begins("recording")
        metrics |= data.epoch_metrics() | machine.read()
        is_last = trainer.progress.epochs_done == config.training.epochs
        recorder.record_epoch(trainer, metrics, is_last=is_last)
        if rank() == 0:
            _record_files(trainer, recorder, data, is_last=is_last)
        if health is not None:
            health.require_health()


def _record_files(
    trainer: Trainer[EventBatch], recorder: RunRecorder | FollowerRecorder, data: DataRecord, *, is_last: bool
) -> None:
    for path in trainer.write_profile(recorder.folder):
        recorder.record_artifact(path)
    ledger = data.write_ledger()
    if is_last and ledger is not None:
        recorder.record_artifact(ledger)


def _event_numbers(batch: EventBatch) -> Identity:
    return {"run": batch.run, "event": batch.event}


def _stream(
    config: TrainingConfiguration, normalization: Normalization, parts: Assembly, split: Literal["train", "validation"]
) -> EventStream:
    data = config.data
    if rank() > 0:
        # All ranks read the same events; the first one notes what cannot be read.
        data = data.model_copy(update={"quarantine_report": os.devnull})
    return open_stream(data, normalization, parts.task.truth_branches, split=split, seed=config.training.seed)


def _identity(config: TrainingConfiguration, normalization: Normalization, parts: Assembly) -> ModelIdentity:
    about = {
        "normalization": normalization.as_dict(),
        "branches": {"npho": config.data.npho_branch, "time": config.data.time_branch},
        "revision": code_revision(),
        "training_data": data_fingerprint(config.data),
        "environment": environment(),
        **parts.about,
    }
    return ModelIdentity(config.kind, config.model_dump(mode="json"), about)


def _tags(identity: ModelIdentity, config: TrainingConfiguration) -> dict[str, str]:
    return {
        **config.mlflow.tags,
        "kind": identity.kind,
        # The names under which the pages of MLflow have columns for user, source and version.
        "mlflow.user": user_name(),
        "mlflow.source.name": f"lib.train_{identity.kind}",
        "mlflow.source.git.commit": str(identity.about["revision"]),
        "revision": str(identity.about["revision"]),
        # The same as in an exported model, so that the run of a file is found.
        "config_sha256": config_hash(identity.config),
        "training_data": str(identity.about["training_data"]),
        "folder": str(Path.cwd()),
        **{f"environment.{name}": value for name, value in identity.about["environment"].items()},
    }
