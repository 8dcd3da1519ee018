"""Everything in docs/ that is generated, by its name there."""

import re
from pathlib import Path
from typing import Final

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.errors import DataError
from lib.models.architecture import shape_table
from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder
from lib.reference.architecture_figure import architecture_figure
from lib.reference.configuration import configuration_reference
from lib.reference.detector_figure import detector_figure

ARCHITECTURE: Final = "architecture.md"
# What stands between two such lines of a page is generated, the rest is written by hand.
_MARKS: Final = ("<!-- generated: {} -->\n\n", "\n<!-- end -->")


def generated_pages(docs: Path) -> dict[str, str]:
    """Return the text of each generated file.

    Args:
        docs: The folder; pages that are generated in part are read from it.

    Raises:
        DataError: If such a page has lost the marks of a part.
    """
    settings = {"finegrid": EncoderConfig(), "split": EncoderConfig(outer_mode="split", outer_fine_pool=None)}
    normalization = Normalization.from_config(NormalizationConfig())
    encoders = {name: Encoder(config, normalization) for name, config in settings.items()}
    architecture = (docs / ARCHITECTURE).read_text(encoding="utf-8")
    for name, encoder in encoders.items():
        architecture = replace_part(architecture, name, shape_table(encoder, settings[name]))
    return {
        "configuration.md": configuration_reference(),
        ARCHITECTURE: architecture,
        "images/architecture.svg": architecture_figure(encoders["finegrid"], settings["finegrid"]),
        "images/detector.svg": detector_figure(),
    }


def replace_part(page: str, name: str, text: str) -> str:
    """Return a page with another text between the marks of a part.

    Raises:
        DataError: If the marks are not there.
    """
    start, end = (mark.format(name) for mark in _MARKS)
    replaced, count = re.subn(
        f"({re.escape(start)}).*?({re.escape(end)})", lambda m: m[1] + text + m[2], page, flags=re.DOTALL
    )
    if count != 1:
        raise DataError(
            f"{ARCHITECTURE}: expected one part between {start.strip()!r} and {end.strip()!r}. Write the two lines."
        )
    return replaced
