"""What a job asks of the cluster: the site's defaults, and what the environment says for one submission."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, StringConstraints

from lib.config import Section, load_config
from lib.errors import ConfigError

CLUSTER_FILE = Path("scan_param/cluster.yaml")

# These stand in a job script as they are: nothing that a shell or the batch system could read as anything else.
_Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,&|+-]{0,63}$")]
_Duration: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(\d{1,3}-)?\d{1,3}(:\d{2}){0,2}$")]
_Memory: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\d{1,7}[KMGT]?$")]


class ClusterSettings(Section):
    """Resources of one job; the variable that overrides each stands in ``VARIABLES``."""

    partition: _Name | None = None
    """Partition; null leaves it to the cluster."""
    account: _Name | None = None
    """Account that is charged."""
    constraint: _Name | None = None
    """Features that the node must have."""
    time: _Duration = "24:00:00"
    """Time limit; before it ends, the run is saved and goes back into the queue."""
    gpus: int = Field(1, ge=0, le=64)
    """GPUs per node; 0 asks for none."""
    nodes: int = Field(1, ge=1, le=1024)
    """Nodes."""
    cpus: int = Field(8, ge=1, le=1024)
    """CPU cores per node."""
    memory: _Memory | None = None
    """Memory per node, such as 64G; null leaves it to the cluster."""
    warning_seconds: int = Field(120, ge=10, le=3600)
    """How long before its time limit a job is told to save itself."""


VARIABLES = {
    "PARTITION": "partition",
    "ACCOUNT": "account",
    "CONSTRAINT": "constraint",
    "TIME": "time",
    "NUM_GPUS": "gpus",
    "NUM_NODES": "nodes",
    "CPUS": "cpus",
    "MEM": "memory",
}
"""Environment variables of the submission scripts, with the setting that each overrides."""

_NUMBERS = frozenset({"gpus", "nodes", "cpus"})


def cluster_settings(environment: Mapping[str, str], path: Path = CLUSTER_FILE) -> ClusterSettings:
    """Return the site's settings with those of the environment over them.

    Args:
        environment: Variables of the submitting shell; empty ones count as not set.
        path: The site's file; without it the defaults of the code hold.

    Raises:
        ConfigError: If the file or a variable has an impossible value; with its name.
    """
    settings = load_config(ClusterSettings, path) if path.exists() else ClusterSettings()
    for variable, key in VARIABLES.items():
        if text := environment.get(variable, ""):
            settings = _with(settings, variable, key, text)
    return settings


def _with(settings: ClusterSettings, variable: str, key: str, text: str) -> ClusterSettings:
    is_number = key in _NUMBERS and text.isascii() and text.isdecimal()
    try:
        return ClusterSettings.model_validate({**settings.model_dump(), key: int(text) if is_number else text})
    except ValueError as error:
        meaning = ClusterSettings.model_fields[key].description
        raise ConfigError(f"{variable}={text!r}: not possible here. It means: {meaning}") from error


def is_dry_run(environment: Mapping[str, str]) -> bool:
    """Return True if the submitting shell only wants to see the job: DRY_RUN=1."""
    return environment.get("DRY_RUN", "0") not in {"", "0"}
