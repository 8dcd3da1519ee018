"""Encoder of the six faces, heads, decoders and the three models made of them."""
