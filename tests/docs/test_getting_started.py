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
    # Trying the compiler and loader processes takes minutes and has tests of its own.
    command += " --no_probe" if "lib.doctor" in command else ""
    return command + (" --set training.epochs=1" if "train_regressor" in command else "")


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
