"""What is generated in docs/ must be what the code says now."""

import re
from pathlib import Path

import pytest

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.errors import DataError
from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder
from lib.reference.architecture_figure import architecture_figure
from lib.reference.detector_figure import detector_figure
from lib.reference.pages import generated_pages, replace_part

DOCS = Path(__file__).parents[2] / "docs"


def test_generated_pages_and_figures_are_not_stale() -> None:
    stale = [name for name, text in generated_pages(DOCS).items() if (DOCS / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run: python macro/generate_docs.py"


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    page = "a\n<!-- generated: x -->\n\nold\n\n<!-- end -->\nb\n<!-- generated: y -->\n\nkept\n\n<!-- end -->\n"
    assert replace_part(page, "x", "new\n") == page.replace("old", "new")


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(DataError, match="expected one part between '<!-- generated: x -->' and '<!-- end -->'"):
        replace_part("a\n", "x", "new\n")


def test_every_photomultiplier_is_drawn_and_the_dense_patch_is_filled() -> None:
    drawing = detector_figure()
    discs = re.findall(r'<circle cx="[^"]*" cy="[^"]*" r="2.75" fill="([^"]*)"', drawing)
    assert len(discs) == 668
    assert sum(fill != "none" for fill in discs) == 30
    # 94 rows of lines and 45 columns enclose 93 x 44 sensors.
    lattice = re.search(r'<path d="(M[^"]*)" fill="none"></path></g>', drawing)
    assert lattice
    assert (lattice[1].count("h"), lattice[1].count("v")) == (94, 45)


def test_the_architecture_figure_shows_the_shapes_of_its_encoder() -> None:
    config = EncoderConfig(stage_dims=(4, 8), stage_depths=(1, 1), encoder_dim=24, num_heads=2, num_fusion_layers=3)
    drawing = architecture_figure(Encoder(config, Normalization.from_config(NormalizationConfig())), config)
    for expected in (
        "93 x 44 x 4 \N{RIGHTWARDS ARROW} 47 x 22 x 8",
        "73 x 4 \N{RIGHTWARDS ARROW} 73 x 8",
        "3 layers",
        "(B, 24)",
    ):
        assert expected in drawing
