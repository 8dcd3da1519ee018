"""The tour must be what its page shows, and its cells must fit the package that they tell of."""

import ast
import importlib.util
import inspect
import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from lib.reference.tour import PAGE, TOUR, execute_tour, tour_page

DOCS = Path(__file__).parents[2] / "docs"


def code_cells() -> list[str]:
    cells = json.loads((DOCS / TOUR).read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def python_cells() -> list[str]:
    return [cell for cell in code_cells() if not cell.startswith("%")]


def without_numbers(text: str) -> list[str]:
    """Lines of a page but those of logs, with all numbers alike: another processor has other last digits."""
    return [re.sub(r"[\d.]+", "#", line) for line in text.splitlines() if " INFO " not in line]


def test_the_page_shows_the_cells_of_the_notebook() -> None:
    shown = re.findall(
        r"^```(?:python|bash)\n(.*?)\n```$", (DOCS / PAGE).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert shown == code_cells(), "run python macro/generate_docs.py --tour"


def test_cells_call_what_there_is() -> None:
    names: dict[str, Callable[..., object]] = {}
    for node in ast.walk(ast.parse("\n".join(python_cells()))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("lib", "macro")):
            module = import_module(str(node.module))
            names |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            keywords = {str(keyword.arg): None for keyword in node.keywords}
            inspect.signature(names[node.func.id]).bind(*node.args, **keywords)
    assert len(names) > 4


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nbconvert") is None, reason="no nbconvert; make docs installs it")
@pytest.mark.filterwarnings("ignore")  # Jupyter has its own
def test_the_tour_runs_and_says_what_its_page_says(tmp_path: Path) -> None:
    text, images = tour_page(execute_tour(DOCS, tmp_path))
    assert without_numbers(text) == without_numbers((DOCS / PAGE).read_text(encoding="utf-8"))
    assert all((DOCS / name).is_file() for name in images)
