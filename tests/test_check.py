"""What the check tells, and how it ends."""

import json
from pathlib import Path

import pytest
import yaml

from lib.check import main
from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR
from lib.errors import ConfigError
from tests.data.root_files import make_events, write_root


@pytest.mark.parametrize("kind", ["autoencoder", "[mae]", "{mae: 1}", "null", "1"])
def test_a_file_that_names_no_training_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"kind: {kind}\n")
    with pytest.raises(ConfigError, match=r"which training is it for\? Expected a line 'kind: \.\.\.' with one of mae"):
        main(["--config", str(path)])


MODEL = {"stage_dims": [4], "stage_depths": [1], "inner_patch": 4, "encoder_dim": 8, "num_heads": 2}
MODEL |= {"dim_feedforward": 8, "num_fusion_layers": 1, "hidden_dim": 4}


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A regressor's configuration with two training files and one for validation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user_cache"))
    for name, first in (("train/a", 0), ("train/b", 50), ("val/a", 100)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_root(tmp_path / f"{name}.root", make_events(50, first_event=first))
    data = {"train_path": "train", "val_path": "val", "batch_size": 8}
    values = {"kind": "regressor", "data": data, "model": MODEL, "tasks": {"uvwFI": {}}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "x.yaml"


def check(path: Path, *options: str) -> int:
    return main(["--config", str(path), *options])


def test_a_sound_configuration_ends_with_0_and_tells_where_events_go(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(config_file, "--set", "data.cut=event >= 30") == EXIT_DONE
    text = capsys.readouterr().out
    assert text.endswith(f"{config_file}: no errors, no warnings\n")
    assert "Events of data.train_path: read = used + cut + quarantined" in text
    assert "read 50        used 20        cut 30        quarantined 0         train/a.root" in text
    assert max(map(len, text.splitlines())) <= 120


def test_all_problems_come_at_once_and_warnings_alone_end_with_0(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["data.batch_size=500", "tasks.timing.loss_beta=0.1", "data.time_branch=relative_time"]
    options = [part for setting in settings for part in ("--set", setting)]
    assert check(config_file, *options) == EXIT_USER_ERROR
    text = capsys.readouterr().out
    assert "has no branch 'relative_time'" in text
    assert "has lost the absolute time that tasks.timing learns" in text
    assert "tasks.timing.loss_beta: 0.1 s" in text
    assert check(config_file, *options[2:4]) == EXIT_DONE
    assert capsys.readouterr().out.endswith("no errors, 4 warnings\n")


def test_programs_get_an_object_per_finding_and_per_file(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config_file, "--json", "--full") == EXIT_DONE
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ledger = [one for one in objects if "ledger" in one]
    assert [(one["ledger"], one["read"], one["used"]) for one in ledger] == [
        ("data.train_path", 50, 50),
        ("data.train_path", 50, 50),
        ("data.val_path", 50, 50),
    ]
    findings = [one for one in objects if "severity" in one]
    assert len(findings) + len(ledger) == len(objects)
    sampled = [one["values"]["sampled_events"] for one in findings if "sampled_events" in one["values"]]
    assert sampled == [100, 50]
    assert any("expected_host_bytes" in one["values"] for one in findings)


def test_a_fault_of_many_files_is_not_told_many_times(
    config_file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for index in range(25):
        (tmp_path / "val" / f"bad{index:02d}.root").write_text("no ROOT file")
    assert check(config_file) == EXIT_USER_ERROR
    text = capsys.readouterr().out
    assert text.count("not a ROOT file") == 20
    assert "... and 5 more; --json lists all" in text


def test_checks_of_the_training_are_told_and_a_failed_one_ends_with_2(
    config_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The truth of these files is random, so it does not follow the light."""
    monkeypatch.setattr("lib.tasks.learning_checks.OVERFIT_STEPS", 2)
    assert check(config_file, "--json", "--train-checks") == EXIT_USER_ERROR
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    verdicts = {one["check"]: one for one in objects if "check" in one}
    assert not verdicts["labels follow the light"]["passed"]
    assert verdicts["validation is new"]["passed"]
    assert verdicts["axes of the faces"]["passed"]
    assert verdicts["gradient of each module"]["passed"]
