"""Residuals, resolutions and predicted errors, with the errors of each figure."""
