"""Typed configuration: YAML documents read strictly, checked against models that live next to their owners."""

from lib.config.loading import load_config
from lib.config.section import Section

__all__ = ["Section", "load_config"]
