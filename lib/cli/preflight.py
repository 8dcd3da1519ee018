"""Everything about a run that can be found wrong before a GPU is taken."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from lib.cli.assembly import Assembly, assemble
from lib.cli.memory_check import memory_findings
from lib.cli.schemas import RegressorConfig, TrainingConfiguration
from lib.cli.start_point import AUTO, choose_run_name, find_resumed, initialize, load_resumed
from lib.data.checks.finding import Finding, by_severity
from lib.data.checks.identity_inspection import VALIDATION
from lib.data.checks.inspection import inspect_dataset
from lib.data.choice.quarantine import LedgerRow
from lib.data.normalization import Normalization
from lib.errors import CheckpointError, ConfigError
from lib.tasks.target_check import odd_betas
from lib.tasks.targets import enabled_targets
from lib.training.records.recorder import holds_other_run
from lib.training.saving.checkpoint import Checkpoint

LEAST_FREE_BYTES = 2 * 10**9


@dataclass(frozen=True)
class Preflight:
    """What is known of a run that is about to start.

    Attributes:
        findings: Everything worth knowing, errors first.
        ledger: Where the events of each file go, by setting that names the files.
    """

    findings: list[Finding]
    ledger: dict[str, list[LedgerRow]]


def preflight(config: TrainingConfiguration, *, everything: bool = False) -> Preflight:
    """Look at files, model, checkpoints, memory and folder of a run.

    Args:
        config: The checked configuration.
        everything: Whether the values of all events are looked at, instead of a sample.
    """
    data = inspect_dataset(config.data, config.normalization, truth_branches(config), everything=everything)
    normalization = Normalization.from_config(config.normalization)
    parts = assemble(config, normalization)
    findings = [
        *data.findings,
        *_branch_findings(config),
        *_loss_findings(config),
        *_model_findings(config, normalization, parts),
        *memory_findings(config, parts, data.num_events.get(VALIDATION, 0)),
        *_folder_findings(config),
    ]
    return Preflight(by_severity(findings), data.ledger)


def truth_branches(config: TrainingConfiguration) -> list[str]:
    """Return the truth that the task of a configuration needs."""
    if isinstance(config, RegressorConfig):
        return [target.branch for target in enabled_targets(config.tasks)]
    return []


def _branch_findings(config: TrainingConfiguration) -> Iterator[Finding]:
    learns_time = isinstance(config, RegressorConfig) and "timing" in config.tasks.enabled()
    if learns_time and config.data.time_branch.startswith("relative"):
        yield Finding(
            "error",
            "data.time_branch",
            f"{config.data.time_branch} has lost the absolute time that tasks.timing learns; set it to time, "
            "or disable the task.",
        )


def _loss_findings(config: TrainingConfiguration) -> Iterator[Finding]:
    if not isinstance(config, RegressorConfig):
        return
    settings = config.tasks.enabled()
    for target in enabled_targets(config.tasks):
        for message in odd_betas(target, settings[target.name]):
            yield Finding("warning", f"tasks.{target.name}.loss_beta", message)


def _model_findings(config: TrainingConfiguration, normalization: Normalization, parts: Assembly) -> Iterator[Finding]:
    """Give the model its first weights, exactly as the training would."""
    trainable = sum(parameter.numel() for parameter in parts.model.parameters() if parameter.requires_grad)
    yield Finding("note", "model", f"{trainable / 1e6:.2f} million trainable parameters.")
    try:
        initialize(parts.model, config, normalization)
    except CheckpointError as error:
        yield Finding("error", "checkpoint.init_from", str(error))
    try:
        source = find_resumed(config, choose_run_name(config))
        if source is not None:
            load_resumed(parts.model, Checkpoint.load(source), config.kind, normalization, source)
    except (CheckpointError, ConfigError) as error:
        yield Finding("error", "checkpoint.resume_from", str(error))


def _folder_findings(config: TrainingConfiguration) -> Iterator[Finding]:
    folder = config.checkpoint.save_dir
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        yield Finding("error", "checkpoint.save_dir", f"{existing} is not writable; choose another folder.")
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        yield Finding("warning", "checkpoint.save_dir", f"only {free / 1e9:.1f} GB are free at {existing}.")
    name = config.mlflow.run_name
    is_auto = config.checkpoint.resume_from == AUTO
    if name and not is_auto and holds_other_run(folder / name, find_resumed(config, name)):
        yield Finding(
            "error",
            "mlflow.run_name",
            f"{folder / name} already holds a run; choose another name or resume it with --resume_from auto.",
        )
