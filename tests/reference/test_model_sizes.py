"""The documented sizes are those of the models."""

from pathlib import Path

import pytest

from lib.cli.schemas import SCHEMAS
from lib.reference.model_sizes import SIZES_PAGE, model_size, model_sizes_page, preset_configuration, size_table

PAGE = (Path(__file__).parents[2] / "docs" / SIZES_PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_page_shows_the_size_of_the_smallest_models(kind: str) -> None:
    size = model_size(preset_configuration(kind, "tiny", "training.amp=bf16"))
    assert size_table({(kind, "tiny"): size}).splitlines()[-1] in PAGE


@pytest.mark.slow
def test_the_page_is_the_generated_one() -> None:
    assert model_sizes_page() == PAGE, "run: python macro/generate_docs.py --sizes"


def test_a_size_counts_weights_tokens_operations_and_bytes() -> None:
    small, more = (
        model_size(preset_configuration("regressor", "tiny", "training.amp=none", f"model.num_fusion_layers={layers}"))
        for layers in (1, 2)
    )
    dim, wide, tokens = 128, 256, small.tokens
    # Attention and feed-forward layers with their biases, and two normalizations.
    assert more.parameters - small.parameters == 4 * dim * (dim + 1) + dim * (wide + 1) + wide * (dim + 1) + 2 * 2 * dim
    # The products of tokens with each other are a hundredth of these, and are not counted on a CPU.
    assert more.forward_flops - small.forward_flops == 2 * tokens * dim * (4 * dim + 2 * wide)
    # At least its inputs and the widest tensor, in four bytes.
    assert more.kept_bytes - small.kept_bytes > 4 * tokens * (dim + wide)
    # Of the layer that is recomputed, its input alone, and nothing of its inside.
    assert 0 <= more.recomputed_bytes - small.recomputed_bytes <= 2 * 4 * tokens * dim
