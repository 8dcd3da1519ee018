"""The defaults of a run's settings, to tell what it was asked for from what nobody touched."""

from collections.abc import Iterator, Mapping

from pydantic_core import PydanticUndefined

from lib.cli.schemas import SCHEMAS
from lib.config import Section
from lib.config.flat import flatten


def default_settings(kind: str) -> Mapping[str, str]:
    """Return ``section.key`` to default, as text; without what has none.

    Args:
        kind: mae, regressor or inpainter; for another there are no defaults.
    """
    return flatten(dict(_defaults(SCHEMAS[kind]))) if kind in SCHEMAS else {}


def _defaults(schema: type[Section]) -> Iterator[tuple[str, object]]:
    for name, field in schema.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, Section):
            yield name, default.model_dump(mode="json")
        elif default is not PydanticUndefined:
            yield name, default
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            # A section that must be given has settings of its own that need not be.
            yield name, dict(_defaults(field.annotation))
