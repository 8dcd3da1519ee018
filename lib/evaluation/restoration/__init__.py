"""Restored dead channels: scores, files, figures, and what they do to a regressor."""
