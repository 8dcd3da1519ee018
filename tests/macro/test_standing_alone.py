"""A macro is run as a file, wherever the user stands: other macros are no package to it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "macro"
# Counts what the suites find, which lie beside the package; it says itself where.
MACROS = sorted(set(FOLDER.glob("*.py")) - {FOLDER / "benchmark_reliability.py"})


def imported(path: Path) -> set[str]:
    """Packages that a file imports anywhere."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", MACROS, ids=lambda path: path.stem)
def test_no_macro_imports_another(path: Path) -> None:
    assert not imported(path) & ({"macro", "tests"} | {macro.stem for macro in MACROS})


def test_a_macro_helps_from_any_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(FOLDER / "benchmark_resolution.py"), "--help"]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "--budget" in answer.stdout
