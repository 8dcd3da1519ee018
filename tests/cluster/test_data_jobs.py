from pathlib import Path

import pytest

from lib.cluster.data_jobs import cache_job, simulation_job
from lib.cluster.job_script import job_script
from lib.cluster.settings import ClusterSettings
from lib.errors import ConfigError

SETTINGS = ClusterSettings(gpus=0, cpus=16)


def test_each_task_of_a_simulation_makes_one_run(tmp_path):
    environment = {"OUTPUT": "data/train", "RUNS": "3", "EVENTS": "1000", "FIRST_RUN": "10", "AT_A_TIME": "2"}
    job = simulation_job(environment, SETTINGS, tmp_path, ["--preset", "data_like"])
    assert list(job.array) == [10, 11, 12]
    assert "#SBATCH --array=10-12%2" in job_script(job, SETTINGS)
    command = " ".join(job.arguments)
    assert "--output data/train --events 1000 --seed 1 --run {index} --processes 16 --preset data_like" in command


def test_a_cache_is_built_where_it_is_wanted(tmp_path):
    job = cache_job({"CONFIG_PATH": "x.yaml", "CACHE_DIR": "here", "TASKS": "8", "AT_A_TIME": "2"}, tmp_path)
    assert job.arguments == [
        "macro/build_cache.py", "--config", "x.yaml", "--set", "data.cache_dir=here",
        "--part", "{index}", "--parts", "8", "--verify",
    ]  # fmt: skip
    assert "#SBATCH --array=0-7%2" in job_script(job, SETTINGS)


@pytest.mark.parametrize(
    ("environment", "message"),
    [({}, "OUTPUT is not set"), ({"OUTPUT": "x", "RUNS": "-1"}, "RUNS='-1': expected a whole number")],
)
def test_impossible_simulations_are_refused(environment, message):
    with pytest.raises(ConfigError, match=message):
        simulation_job(environment, SETTINGS, Path())


def test_a_cache_needs_a_configuration():
    with pytest.raises(ConfigError, match="CONFIG_PATH is not set"):
        cache_job({}, Path())
