"""Registers take part in the fusion, and nothing after it depends on their number."""

import pytest
import torch
from pydantic import ValidationError

from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder
from lib.models.registers import Registers


def test_registers_stand_behind_the_tokens_of_every_event() -> None:
    registers, tokens = Registers(3, 8), torch.randn(2, 5, 8)
    got = registers(tokens)
    assert torch.equal(got[:, :5], tokens)
    assert torch.equal(got[:, 5:], registers.tokens.detach().expand(2, 3, 8))


def test_an_encoder_takes_over_the_weights_of_one_without_registers(tiny, normalization, events) -> None:
    plain = Encoder(EncoderConfig(**tiny), normalization)
    other = Encoder(EncoderConfig(**tiny, num_registers=3), normalization).eval()
    missing, unexpected = other.load_state_dict(plain.state_dict(), strict=False)
    assert (missing, unexpected) == (["registers.tokens"], [])
    assert other(*events).shape == plain(*events).shape


def test_registers_without_a_fusion_are_refused() -> None:
    with pytest.raises(ValidationError, match="num_registers needs num_fusion_layers of at least 1"):
        EncoderConfig(num_registers=1, num_fusion_layers=0)
