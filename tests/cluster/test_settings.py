from pathlib import Path

import pytest

from lib.cluster.settings import VARIABLES, ClusterSettings, cluster_settings, is_dry_run
from lib.errors import ConfigError

NOWHERE = Path("nowhere.yaml")


def test_the_environment_overrides_the_site(tmp_path):
    site = tmp_path / "cluster.yaml"
    site.write_text("partition: slow\ngpus: 2\n")
    settings = cluster_settings({"PARTITION": "fast", "TIME": "1-02:00:00", "CPUS": ""}, site)
    assert (settings.partition, settings.gpus, settings.time) == ("fast", 2, "1-02:00:00")
    assert settings.cpus == ClusterSettings().cpus


def test_every_variable_names_a_setting():
    assert set(VARIABLES.values()) <= set(ClusterSettings.model_fields)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PARTITION", "a b"), ("PARTITION", "$(id)"), ("PARTITION", "a\n#SBATCH --uid=0"), ("TIME", "soon"),
        ("NUM_GPUS", "-1"), ("NUM_GPUS", "two"), ("NUM_NODES", "0"), ("MEM", "64 G"), ("ACCOUNT", "`id`"),
        ("NUM_GPUS", "²"),
    ],
)  # fmt: skip
def test_impossible_variables_are_refused_by_name(variable, text):
    with pytest.raises(ConfigError, match=f"{variable}=.*not possible"):
        cluster_settings({variable: text}, NOWHERE)


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_a_dry_run_is_asked_for_by_anything_but_zero(text, expected):
    assert is_dry_run({"DRY_RUN": text}) is expected
    assert not is_dry_run({})
