"""The built-in Monte Carlo of the detector: shower, light, electronics."""
