"""Figures and displays."""
