"""The base of every configuration model."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a configuration: immutable, typed strictly, without unknown keys.

    Attributes:
        moved_keys: Keys of this section that live elsewhere now, with the full path of the new place.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    moved_keys: ClassVar[dict[str, str]] = {}
