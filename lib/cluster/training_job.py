"""One training as a batch job: settings from the environment, checked before anything is submitted."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.cli.preflight import preflight
from lib.cli.schemas import SCHEMAS, TrainingConfiguration
from lib.cluster.job_script import Job
from lib.config import load_config
from lib.config.overrides import assignment
from lib.errors import ConfigError
from lib.training.saving.checkpoint import LAST_NAME

logger = logging.getLogger(__name__)

# What users set for one submission, and the setting that each stands for.
_SETTINGS = {
    "EPOCHS": "training.epochs",
    "LR": "training.lr",
    "BATCH_SIZE": "data.batch_size",
    "BATCH": "data.batch_size",
}
_STARTS = {"RESUME_FROM": "checkpoint.resume_from", "INIT_FROM": "checkpoint.init_from"}

JOB_FOLDER = "slurm"

VARIABLES = ("CONFIG_PATH", "RUN_NAME", *_SETTINGS, *_STARTS)
"""Environment variables that say what is trained."""


@dataclass(frozen=True)
class TrainingRequest:
    """A training that is to be submitted.

    Attributes:
        kind: mae, regressor or inpainter.
        config_path: Its configuration file.
        assignments: What overrides it, as ``section.key=value``; names the run.
        config: Both together, checked.
    """

    kind: str
    config_path: Path
    assignments: Sequence[str]
    config: TrainingConfiguration

    @property
    def run_name(self) -> str:
        """Name of the run and of its folder."""
        return str(self.config.mlflow.run_name)

    @property
    def folder(self) -> Path:
        """Where the run keeps its files."""
        return self.config.checkpoint.save_dir / self.run_name


def read_request(kind: str, environment: Mapping[str, str], assignments: Sequence[str] = ()) -> TrainingRequest:
    """Return the training that the environment describes.

    Args:
        kind: mae, regressor or inpainter.
        environment: Variables of the submitting shell; empty ones count as not set.
        assignments: Further ``section.key=value``, which win.

    Raises:
        ConfigError: If a variable or the configuration is faulty.
    """
    path = Path(environment.get("CONFIG_PATH") or f"configs/{kind}/base.yaml")
    if environment.get("BATCH") and environment.get("BATCH_SIZE"):
        raise ConfigError("BATCH and BATCH_SIZE say the same; set one of them.")
    overrides = [f"{key}={environment[name]}" for name, key in _SETTINGS.items() if environment.get(name)]
    texts = {**_STARTS, "RUN_NAME": "mlflow.run_name"}
    overrides += [assignment(key, environment[name]) for name, key in texts.items() if environment.get(name)]
    overrides += assignments
    config = load_config(SCHEMAS[kind], path, overrides)
    if config.mlflow.run_name is None:
        # Fixed now: a job that goes on after a restart must find its own folder.
        overrides.append(assignment("mlflow.run_name", time.strftime(f"{kind}_%Y%m%d_%H%M%S")))
        config = load_config(SCHEMAS[kind], path, overrides)
    return TrainingRequest(kind, path, overrides, config)


def training_job(request: TrainingRequest, root: Path) -> Job:
    """Return the batch job of a training.

    Args:
        request: What is trained.
        root: Folder of the project.
    """
    arguments = ["-m", f"lib.train_{request.kind}", "--config", str(request.config_path)]
    for text in request.assignments:
        arguments += ["--set", text]
    log = str(request.folder / JOB_FOLDER / "%j.log")
    return Job(request.run_name, root, log, arguments, own_checkpoint=request.folder / LAST_NAME)


def require_sound(request: TrainingRequest) -> None:
    """Look for everything that is wrong with a training before it waits in a queue, and tell what was found.

    Raises:
        ConfigError: If it cannot be trained; with every reason.
    """
    findings = preflight(request.config).findings
    for finding in findings:
        if finding.severity != "error":
            logger.info("%s: %s", finding.place, finding.message)
    faults = [f"{finding.place}: {finding.message}" for finding in findings if finding.severity == "error"]
    if faults:
        raise ConfigError("\n  ".join([f"{request.config_path}: not submitted:", *faults]))
