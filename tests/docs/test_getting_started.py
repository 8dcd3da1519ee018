"""The commands of the first ten minutes must work as they are written, here with fewer events."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "getting-started.md"
SMALL = {"--events 4000": "--events 96", "--events 500": "--events 32"}


def commands() -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


def small(command: str) -> str:
    """The command with fewer events and one epoch."""
    for many, few in SMALL.items():
        command = command.replace(many, few)
    return command + (" --set training.epochs=1" if "train_regressor" in command else "")


def test_every_command_exists_and_knows_its_options() -> None:
    for command in commands():
        words = command.split()
        # The page's own options must be in the help of what it runs.
        program = words[1:3] if words[1] == "-m" else words[1:2]
        answer = subprocess.run(
            [sys.executable, *program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        for option in (word for word in words if word.startswith("--")):
            assert option in answer.stdout, command


@pytest.mark.slow
def test_the_first_ten_minutes_end_with_a_page(tmp_path: Path) -> None:
    for name in ("configs", "macro", "lib"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    for command in map(small, commands()):
        words = [sys.executable, *command.split()[1:]]
        answer = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, f"{command}\n{answer.stdout[-2000:]}\n{answer.stderr[-2000:]}"
    page = (tmp_path / "artifacts" / "start" / "report.html").read_text(encoding="utf-8")
    assert "finished after 1 epoch" in page
    assert "Worst events" in page
