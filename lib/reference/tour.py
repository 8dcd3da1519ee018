"""The tour: a notebook that is executed, and the page of the documentation that shows it."""

import os
import re
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nbformat import NotebookNode

TOUR: Final = "tour.ipynb"
PAGE: Final = "tour.md"
IMAGES: Final = "images/tour_{}.png"
_SECONDS_PER_CELL: Final = 600


def execute_tour(docs: Path, folder: Path) -> "NotebookNode":
    """Return the notebook with what its cells print and draw.

    Args:
        docs: Where it lies; beside it are the configurations and macros that it uses.
        folder: An empty one, where its events and runs are made.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails, with what it printed.
    """
    import nbformat  # noqa: PLC0415  # an extra, as is all of Jupyter
    from nbclient import NotebookClient  # noqa: PLC0415

    for name in ("configs", "lib", "macro"):
        (folder / name).symlink_to(docs.parent / name)
    (folder / docs.name).mkdir()
    notebook = nbformat.read(docs / TOUR, as_version=4)
    client = NotebookClient(notebook, timeout=_SECONDS_PER_CELL, kernel_name="python3")
    client.resources = {"metadata": {"path": str(folder / docs.name)}}
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "100"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with chdir(folder / docs.name), client.setup_kernel(env=environment):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    return notebook


def tour_page(notebook: "NotebookNode") -> tuple[str, dict[str, bytes]]:
    """Return the page of an executed notebook, and its images by their name in the documentation.

    Args:
        notebook: As ``execute_tour`` returns it; cells that draw say in ``metadata.alt`` what is to be seen.
    """
    from nbconvert import MarkdownExporter  # noqa: PLC0415
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor  # noqa: PLC0415

    exporter = MarkdownExporter(preprocessors=[CoalesceStreamsPreprocessor(enabled=True)])
    text, resources = exporter.from_notebook_node(notebook)
    descriptions = (cell.metadata.alt for cell in notebook.cells if "alt" in cell.metadata)
    images = {}
    for number, (name, content) in enumerate(resources["outputs"].items()):
        images[IMAGES.format(number)] = content
        text = text.replace(f"![png]({name})", f"![{next(descriptions)}]({IMAGES.format(number)})")
    text = re.sub(r"[ ]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", images
