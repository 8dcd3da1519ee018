"""Run names and folders as an attacker or a tired shift worker would write them."""

import random
import string
from pathlib import Path

import pytest

from lib.errors import ConfigError
from lib.training.config import CheckpointConfig, MlflowConfig
from lib.training.records.recorder import claim_folder


def test_names_of_all_plain_letters_stay_one_level_below_the_root(tmp_path: Path) -> None:
    draw, root = random.Random(2), tmp_path / "artifacts"
    config = CheckpointConfig(save_dir=root)
    for _ in range(200):
        name = "".join(draw.choices(string.ascii_letters + string.digits + "._+=-", k=draw.randint(1, 128)))
        try:
            accepted = MlflowConfig(run_name=name).run_name
        except ValueError:
            # What begins with a dot or a hyphen hides from ls, or is an option to it.
            assert name[0] in ".-_+="
            continue
        assert accepted == name
        folder = claim_folder(config, name, None)
        assert folder.resolve().parent == root.resolve()
    assert sorted(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize("target", ["outside", "absent"])
def test_a_save_dir_that_is_a_link_is_followed_and_nothing_beside_it_is_touched(tmp_path: Path, target: str) -> None:
    """The user's own link to a scratch disk is a use; the run still has one folder below it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "artifacts").symlink_to(tmp_path / target)
    config = CheckpointConfig(save_dir=tmp_path / "artifacts")
    if target == "absent":
        with pytest.raises(ConfigError, match=r"cannot be created .*Set checkpoint\.save_dir"):
            claim_folder(config, "run", None)
        assert list((tmp_path / "outside").iterdir()) == []
        return
    claim_folder(config, "run", None)
    assert [entry.name for entry in (tmp_path / "outside").iterdir()] == ["run"]


def test_a_run_folder_that_is_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    """Two people share a root: a link under a run's name would lead its files somewhere else."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "run").symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigError, match=r"run: leads to .*outside, out of .*artifacts.*checkpoint\.save_dir"):
        claim_folder(CheckpointConfig(save_dir=tmp_path / "artifacts"), "run", None)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_run_folder_that_is_a_link_inside_the_root_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "real").mkdir(parents=True)
    (tmp_path / "artifacts" / "run").symlink_to("real")
    folder = claim_folder(CheckpointConfig(save_dir=tmp_path / "artifacts"), "run", None)
    assert folder.resolve() == tmp_path / "artifacts" / "real"
