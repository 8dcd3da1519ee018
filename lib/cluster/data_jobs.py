"""Making data on the cluster: simulation as an array of runs, and the packed cache of a configuration."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.cluster.job_script import Job
from lib.cluster.settings import ClusterSettings
from lib.errors import ConfigError

SIMULATION_VARIABLES = ("OUTPUT", "RUNS", "EVENTS", "SEED", "FIRST_RUN", "AT_A_TIME")
"""Environment variables that say what is simulated."""


def simulation_job(
    environment: Mapping[str, str], settings: ClusterSettings, root: Path, extra: Sequence[str] = ()
) -> Job:
    """Return an array job of which each task simulates one run.

    Files that are there already are left alone, so the same submission goes on where an earlier one was ended.

    Args:
        environment: OUTPUT, RUNS (how many), EVENTS (of each run), SEED, FIRST_RUN, AT_A_TIME.
        settings: Supplies the processes of each task, one per core.
        root: Folder of the project.
        extra: Further arguments of ``lib.simulate``, such as ``--preset data_like``.

    Raises:
        ConfigError: If a variable is missing or impossible.
    """
    output = environment.get("OUTPUT", "")
    if not output:
        raise ConfigError("OUTPUT is not set: the folder of the simulated files, such as OUTPUT=data/train.")
    first, runs = _number(environment, "FIRST_RUN", 1), _number(environment, "RUNS", 1)
    events, seed = _number(environment, "EVENTS", 100_000), _number(environment, "SEED", 1)
    arguments = ["-m", "lib.simulate", "--output", output, "--events", str(events), "--seed", str(seed)]
    arguments += ["--run", "{index}", "--processes", str(settings.cpus), *extra]
    at_a_time = _number(environment, "AT_A_TIME", 0) or None
    log = str(Path(output) / "slurm" / "%A_%a.log")
    array = range(first, first + runs)
    return Job("simulation", root, log, arguments, array=array, at_a_time=at_a_time, is_distributed=False)


def cache_job(environment: Mapping[str, str], root: Path, extra: Sequence[str] = ()) -> Job:
    """Return the array job that packs the files of a configuration, or goes on packing them, and reads them back.

    Args:
        environment: CONFIG_PATH, CACHE_DIR where the configuration names none, TASKS that share the files, AT_A_TIME.
        root: Folder of the project.
        extra: Further arguments of ``macro/build_cache.py``.

    Raises:
        ConfigError: If no configuration is named, or a number is impossible.
    """
    config = environment.get("CONFIG_PATH", "")
    if not config:
        raise ConfigError("CONFIG_PATH is not set: the configuration whose files are packed.")
    arguments = ["macro/build_cache.py", "--config", config]
    if place := environment.get("CACHE_DIR", ""):
        arguments += ["--set", f"data.cache_dir={place}"]
    tasks = max(_number(environment, "TASKS", 1), 1)
    arguments += ["--part", "{index}", "--parts", str(tasks), "--verify", *extra]
    return Job(
        "cache",
        root,
        "artifacts/slurm/cache_%A_%a.log",
        arguments,
        array=range(tasks),
        at_a_time=_number(environment, "AT_A_TIME", 0) or None,
        is_distributed=False,
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ConfigError(f"{name}={text!r}: expected a whole number.")
    return int(text)
