"""Residuals, resolutions, figures and displays."""
