"""The command line of a training."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.cli.options import parse_training_options
from lib.cli.schemas import MaeConfig
from lib.config import load_config
from lib.config.document import _UNWRITABLE

ROOT = Path(__file__).parents[2]

# Runs a command and tells which of the slow modules it has imported.
REPORT = """
import sys
from lib.cli.entry import run_command
from importlib import import_module
try:
    code = run_command(import_module(sys.argv[1]).main, sys.argv[2:])
except SystemExit as leaving:
    code = leaving.code
slow = {"torch", "mlflow", "uproot", "awkward", "matplotlib", "onnxruntime", "scipy"} & set(sys.modules)
print("\\nimported", sorted(slow), "code", code)
"""
COMMANDS = ["lib.train_mae", "lib.train_regressor", "lib.train_inpainter", "lib.check"]


def parse(*arguments: str) -> list[str]:
    return parse_training_options("lib.train_mae", "", ["--config", "x.yaml", *arguments]).assignments


def resumed_path(tmp_path: Path, *arguments: str) -> str | None:
    """What the configuration says in the end about the checkpoint to go on from."""
    path = tmp_path / "x.yaml"
    path.write_text("data: {train_path: a, val_path: b}\n")
    return load_config(MaeConfig, path, parse(*arguments)).checkpoint.resume_from


def report(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", REPORT, command, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_slow(command: str) -> None:
    told = report(command, "--help")
    assert "imported [] code 0" in told.stdout
    for option in ("--config", "--set", "--resume_from", "--init_from"):
        assert option in told.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_in_the_configuration_imports_nothing_slow(command: str, tmp_path: Path) -> None:
    kind = {"lib.check": "mae"}.get(command, command.removeprefix("lib.train_"))
    path = tmp_path / "x.yaml"
    path.write_text(f"kind: {kind}\ndata: {{train_path: a, val_path: b}}\ntraining: {{learning_rate: 1e-3}}\n")
    told = report(command, "--config", str(path))
    assert "imported [] code 2" in told.stdout
    assert "training.learning_rate (line 3): unknown key" in told.stderr
    assert "Traceback" not in told.stderr


def test_assignments_keep_their_order_and_the_named_options_come_last() -> None:
    assert parse("--set", "a.b=1", "--resume_from", "x.pth", "--set", "a.b=2") == [
        "a.b=1", "a.b=2", 'checkpoint.resume_from="x.pth"',
    ]  # fmt: skip


def test_nothing_named_assigns_nothing() -> None:
    assert parse() == []


@pytest.mark.parametrize(
    "path",
    [
        "auto", "null", "true", "1e-4", "2024_01", "~", "", " spaced ", "a: b", "#1/x.pth", "'quoted'", '"quoted"',
        "back\\slash", "{x}", "[x]", "&x", "*x", "!x", "a=b.pth", "name\nbreak", "tab\there", "größe/Ωμέγα.pth",
        "😀.pth", "line\u2028break", "next\u0085line", "%x", "@x", "`x`", "-", "a,b",
    ],
)  # fmt: skip
def test_a_path_of_odd_characters_is_read_as_that_path(tmp_path: Path, path: str) -> None:
    assert resumed_path(tmp_path, f"--resume_from={path}") == path


# The argument parser of Python 3.11 takes a value of two dashes for its own.
@given(st.text(max_size=30).filter(lambda text: text != "--" and not _UNWRITABLE.search(text)))
def test_any_path_is_read_as_itself(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    assert resumed_path(tmp_path_factory.getbasetemp(), f"--resume_from={path}") == path


def test_the_named_option_wins_over_file_and_assignment(tmp_path: Path) -> None:
    assert resumed_path(tmp_path, "--resume_from", "b.pth", "--set", "checkpoint.resume_from=a.pth") == "b.pth"


@pytest.mark.parametrize("arguments", [[], ["--config"], ["--config", "x.yaml", "--set"], ["--config", "x", "--what"]])
def test_an_incomplete_command_line_ends_with_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_training_options("lib.train_mae", "", arguments)
    assert "usage: python -m lib.train_mae" in capsys.readouterr().err
