"""Attention and the transformer layer."""

import torch

from lib.nn.transformer import SelfAttention, TransformerLayer


def test_attention_equals_the_textbook_formula() -> None:
    torch.manual_seed(0)
    layer, tokens = SelfAttention(8, 2), torch.randn(3, 5, 8)
    query, key, value = layer.query_key_value(tokens).chunk(3, dim=-1)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = query[..., head] @ key[..., head].transpose(1, 2) / 2.0
        heads.append(scores.softmax(dim=-1) @ value[..., head])
    torch.testing.assert_close(layer(tokens), layer.project(torch.cat(heads, dim=-1)))


def test_tokens_of_an_event_mix_and_events_do_not() -> None:
    torch.manual_seed(0)
    layer, tokens = TransformerLayer(8, 2, 16).eval(), torch.randn(2, 5, 8)
    changed = tokens.clone()
    changed[0, 0] = torch.randn(8)
    difference = (layer(changed) - layer(tokens)).abs().amax(dim=-1)
    assert (difference[0] > 1e-6).all()
    assert torch.equal(difference[1], torch.zeros(5))


def test_order_of_tokens_is_only_told_by_their_content() -> None:
    torch.manual_seed(0)
    layer, tokens = TransformerLayer(8, 2, 16).eval(), torch.randn(2, 5, 8)
    torch.testing.assert_close(layer(tokens.flip(1)).flip(1), layer(tokens))


def test_drop_path_leaves_some_events_as_they_were() -> None:
    torch.manual_seed(0)
    layer, tokens = TransformerLayer(8, 2, 16, drop_path_rate=0.5).train(), torch.randn(64, 5, 8)
    unchanged = (layer(tokens) == tokens).flatten(1).all(dim=1).sum()
    assert 4 < unchanged < 32  # a quarter on average
