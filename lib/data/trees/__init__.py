"""Branches of ROOT trees, straight from their baskets."""
