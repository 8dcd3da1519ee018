"""Building blocks of networks; know nothing of the detector."""
