"""Reconstruction without learning, to compare with."""
