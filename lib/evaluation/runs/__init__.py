"""Runs of an experiment side by side."""
