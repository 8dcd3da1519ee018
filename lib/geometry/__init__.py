"""The detector: where each of the 4760 photosensors sits, and how the faces are arranged."""
