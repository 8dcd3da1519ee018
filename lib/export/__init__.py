"""Models for use outside Python."""
