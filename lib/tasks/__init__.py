"""What is learnt and how it is scored: regression, masked autoencoding, inpainting."""
