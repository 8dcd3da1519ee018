"""The macro must verify a checkpoint before it says what is in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lib.cli.entry import EXIT_USER_ERROR, run_command
from lib.training.saving.checkpoint import Checkpoint
from macro.inspect_checkpoint import main
from tests.training.toy import toy_trainer

ROOT_FOLDER = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    trainer = toy_trainer()
    metrics = {"val/loss": 0.25, "val/broken": float("nan")}
    checkpoint = Checkpoint(
        kind="mae",
        config={"training": {"lr": 3e-4}},
        about={"normalization": {"npho_scale": 1000.0}, "revision": "abc+"},
        run_key="key",
        metrics=metrics,
        **{**vars(trainer.progress), **trainer.state()},
    )
    checkpoint.save(tmp_path / "a.pth")
    return tmp_path / "a.pth"


def test_one_json_object_says_everything(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [str(path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["kind"], content["epochs_done"], content["best"]) == ("mae", 0, "inf")
    assert content["metrics"] == {"val/loss": 0.25, "val/broken": "nan"}
    assert content["normalization"] == {"npho_scale": 1000.0}
    assert content["config"]["training"]["lr"] == 3e-4
    # Two linear layers: 4 * 8 + 8 and 8 + 1 values of four bytes, averaged too.
    assert content["parameters"] == {"tensors": 4, "values": 49, "bytes": 196, "average_bytes": 196}
    assert content["bytes"] == path.stat().st_size


def test_a_person_reads_lines(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "seal: SHA-256 verified" in lines
    assert "  npho_scale: 1000.0" in lines
    assert "    lr: 0.0003" in lines


def test_a_damaged_checkpoint_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert run_command(main, [str(path)]) == EXIT_USER_ERROR
    assert "damaged" in capsys.readouterr().err


def test_it_runs_as_a_script() -> None:
    command = [sys.executable, str(ROOT_FOLDER / "macro" / "inspect_checkpoint.py"), "--help"]
    assert "CKPT" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
