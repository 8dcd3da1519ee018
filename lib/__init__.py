"""Machine learning for the MEG II liquid-xenon photon detector."""
