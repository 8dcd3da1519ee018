"""Checkpoints: sealed files, when they are written, and whose folder it is."""
